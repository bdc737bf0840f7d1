// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

extension RedisAdapter {
    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await capture(into: sink) { forward in try await self.receive(forward) }
    }

    /// - Parameter receive: takes the RDB.
    func capture(
        into sink: any CaptureSink,
        _ receive:
            @escaping @Sendable (
                @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
            ) async throws -> RDBSummary
    ) async throws -> CaptureReport {
        let connection = try await live.connect()
        let info = try await live.saying(remedy: backupRights) { try await connection.info() }
        guard let product = RedisProduct(info: info) else {
            throw Failure(.sourceFailed, "the server at \(live.name) does not tell its version")
        }
        var notices: [String] = []
        let summary = try await takeRDB(into: sink, estimatedBytes: info.number("used_memory_dataset"), receive)

        if let rules = try await connection.ifAllowed("ACL", "LIST")?.elements {
            let text = rules.compactMap(\.text).joined(separator: "\n") + "\n"
            try await write(text, to: sink, RedisNames.accessRules, fileName: "users.acl")
        } else if product.isAtLeast(6) {
            notices.append("the access rules were not copied: the user may not run ACL LIST")
        }
        if let reply = try await connection.ifAllowed("CONFIG", "GET", "*") {
            try await write(try Self.configuration(reply), to: sink, RedisNames.configuration, fileName: "config.json")
        } else {
            notices.append("the configuration was not copied: the user may not run CONFIG GET")
        }
        if info.isCluster { notices.append("one node of a cluster: only its own slots were copied") }
        return try await report(summary, info, product, connection, notices)
    }

    /// One copy of the live server's data, scanned while it goes into the stream.
    private func takeRDB(
        into sink: any CaptureSink, estimatedBytes: Int64?,
        _ receive:
            @escaping @Sendable (
                @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
            ) async throws -> RDBSummary
    ) async throws -> RDBSummary {
        let result = Mutex<RDBSummary?>(nil)
        let estimate = estimatedBytes.flatMap { UInt64(exactly: $0) }
        _ = try await sink.raw(RedisNames.rdb, fileName: "dump.rdb", estimatedBytes: estimate) { output in
            let summary = try await receive { try output.write($0) }
            result.withLock { $0 = summary }
            return StreamEnd(length: summary.length)
        }
        guard let summary = result.withLock({ $0 }) else {
            throw Failure(.sourceFailed, "the copy of \(live.name) was never taken")
        }
        return summary
    }

    /// Receives one RDB of the live server on a connection of its own.
    func receive(_ forward: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) async throws -> RDBSummary {
        let connection = try await live.connect()
        return try await live.saying(remedy: backupRights) {
            try await CancellationFlag.run { flag in
                try RDBReceiver.receive(from: connection, flag, forward: forward)
            }
        }
    }

    private func report(
        _ summary: RDBSummary, _ info: RedisInfo, _ product: RedisProduct, _ connection: RespConnection,
        _ notices: [String]
    ) async throws -> CaptureReport {
        var notices = notices
        let modules = try await connection.modules()
        var data: [String: JSONValue] = [
            "format": .string(summary.version.description),
            "version": .string(product.description),
            "runID": .string(info["run_id"] ?? ""),
            "usedMemory": .integer(info.number("used_memory") ?? 0),
            "modules": .array(modules.map { .string($0) }),
            "cluster": .bool(info.isCluster),
            "databases": .integer(Int64((summary.databases.keys.max() ?? 0) + 1)),
        ]
        var facts = RedisNames.facts(
            databases: summary.databases, functions: summary.functions.mapValues(\.description))
        if let unknown = summary.unknown {
            // Keys after the unknown value were not counted; what the server says of another moment is a hint, no fact.
            facts = Facts()
            data["estimatedKeys"] = .integer(info.keys)
            let highest = (info.databases.keys.max() ?? 0) + 1
            data["databases"] = .integer(Int64(max(highest, (summary.databases.keys.max() ?? 0) + 1)))
            notices.append("keys were not counted: the RDB holds something unknown (\(unknown)); its checksum fits")
        }
        facts["rdb format"] = .text(summary.version.description)
        if !summary.hasChecksum {
            notices.append("the server writes RDBs without a checksum (rdbchecksum no)")
        }
        var position: String?
        if let identifier = summary.auxiliary["repl-id"], let offset = summary.auxiliary["repl-offset"] {
            position = "\(identifier):\(offset)"
        }
        return CaptureReport(
            engine: product.description, facts: facts, restoreData: .object(data), notices: notices, position: position)
    }

    private func write(
        _ text: String, to sink: any CaptureSink, _ name: String, fileName: String
    ) async throws {
        let bytes = Array(text.utf8)
        _ = try await sink.raw(name, fileName: fileName, estimatedBytes: UInt64(bytes.count)) { output in
            try await Blocking.run { try output.write(bytes) }
            return StreamEnd(length: UInt64(bytes.count))
        }
    }
}
