// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension RedisAdapter {
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let origin = restore.contents.engine
        let target: RedisTarget
        do { target = try await self.target(for: restore) } catch let failure as Failure {
            return SourceRestorePlan(target: "the server at \(live.name)", origin: origin, blockers: [failure.summary])
        }
        let rdb = try restore.stream(RedisNames.rdb)
        let address = "\(target.address ?? "?") PORT"
        var plan = SourceRestorePlan(
            target: "\(target.product) at \(live.name), run \(target.info["run_id"] ?? "?")", origin: origin,
            blockers: target.blockers, warnings: target.warnings)
        plan.bytesNeeded = rdb.receipt.length
        plan.bytesFree = Self.freeBytes(restore.scratchDirectory)
        if let free = plan.bytesFree, free < rdb.receipt.length {
            plan.blockers.append("\(restore.scratchDirectory) has \(free) bytes free and needs \(rdb.receipt.length)")
        }
        plan.steps = [
            .init(
                "stage", "load the copy into a scratch server of its own",
                command: target.program.map { "\($0) \(restore.scratchDirectory)/redis.conf" }),
            .init("verify", "compare keys, expiries and functions with what was counted", command: "INFO keyspace"),
            .init("promote", "hold back writes and copy the live data aside", command: "CLIENT PAUSE … WRITE; SYNC"),
            .init(
                "promote", "let the live server take over the scratch server's data", command: "REPLICAOF \(address)"),
            .init("promote", "compare again and make it its own master", command: "REPLICAOF NO ONE"),
        ]
        if settings.accessRules != .none, restore.streams.contains(where: { $0.name == RedisNames.accessRules }) {
            let which = settings.accessRules == .all ? "all users but 'default' and its own" : "users that are missing"
            plan.steps.append(.init("promote", "set the access rules of \(which)", command: "ACL SETUSER …"))
        }
        plan.steps.append(
            .init("promote", "wait until the new data is on disk", command: "BGSAVE, or the append-only file's rewrite")
        )
        plan.replaces = target.info.databases.sorted { $0.key < $1.key }.map {
            "database \($0.key) (\($0.value.keys) keys)"
        }
        plan.creates = ["scratch server at \(address)"]
        plan.warnings.append("the configuration is not applied: compare it with stream 'config'")
        plan.warnings.append("clients cannot write to \(live.name) while it takes over the data")
        return plan
    }

    /// Bytes that this user may still write there, or where the folder will be made; nil when it cannot be known.
    private static func freeBytes(_ directory: String) -> UInt64? {
        var (path, status) = (directory, statvfs())
        while !path.isEmpty, statvfs(path, &status) != 0 {
            guard errno == ENOENT else { return nil }
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        }
        return path.isEmpty ? nil : UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
