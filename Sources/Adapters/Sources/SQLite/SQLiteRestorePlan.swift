// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension SQLiteAdapter {
    /// The path that a restore goes to, as it is written.
    func wantedPath(_ restore: SourceRestore) -> String { restore.rename ?? settings.path }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let path = wantedPath(restore)
        let stream = try restore.stream(Self.stream)
        var plan = SourceRestorePlan(target: "'\(path)'", origin: restore.contents.engine)
        plan.bytesNeeded = stream.receipt.length
        if !path.hasPrefix("/") || path.hasSuffix("/") {
            plan.blockers.append("'\(path)' is not the absolute path of a file")
            return plan
        }
        if !restore.include.isEmpty {
            plan.blockers.append("a SQLite database is restored as a whole: '--include' selects nothing in it")
        }
        let found = try await Blocking.run { () throws -> Survey in
            do { return try Survey(path) } catch let failure as Failure { return Survey(problem: failure.summary) }
        }
        if let problem = found.problem {
            plan.blockers.append(problem)
            return plan
        }
        let target = found.target
        let id = restore.restoreID
        plan.target = "'\(target)'" + (found.file.map { ", \($0.size) bytes" } ?? ", no file yet")
        plan.bytesFree = found.free
        if found.free < stream.receipt.length {
            plan.blockers.append("the folder of '\(target)' has too little room: \(found.free) bytes")
        }
        if !found.isWritable { plan.blockers.append("the folder of '\(target)' may not be written") }
        plan.creates = [FileSwap.staged(target, id)]
        if let file = found.file {
            plan.replaces = (["'\(target)' (\(file.size) bytes)"] + found.companions.map { "'\(target)\($0)'" })
            plan.creates.append("\(target).before-\(id)")
            if file.user != geteuid(), geteuid() != 0 {
                plan.warnings.append("'\(target)' belongs to user \(file.user), and only root can give files away")
            }
        }
        if !found.users.isEmpty {
            plan.warnings.append(
                "open in \(found.users.joined(separator: ", ")): stop it first, or it goes on with the old file")
        }
        plan.steps = [
            .init("stage", "write the copy beside the live file", command: FileSwap.staged(target, id)),
            .init("verify", "check the copy and compare its rows", command: "PRAGMA integrity_check"),
            .init("promote", "empty the live write-ahead log", command: "PRAGMA wal_checkpoint(TRUNCATE)"),
            .init("promote", "exchange the files and keep the old one", command: "renameat2 RENAME_EXCHANGE"),
        ]
        return plan
    }

    /// What is at the target. Blocks.
    private struct Survey: Sendable {
        var target = ""
        var file: DatabaseFile?
        var companions: [String] = []
        var users: [String] = []
        var free: UInt64 = 0
        var isWritable = false
        var problem: String?

        init(problem: String) { self.problem = problem }

        init(_ path: String) throws {
            let resolved = try DatabaseFile.resolve(path)
            target = resolved
            file = try DatabaseFile.find(resolved)
            companions = DatabaseFile.companions.filter { DatabaseFile.inode(resolved + $0) != nil }
            users = OpenFiles.users(of: resolved)
            let folder = DatabaseFile.folder(of: resolved)
            free = try FileReading.freeBytes(folder)
            isWritable = access(folder, W_OK) == 0
        }
    }
}
