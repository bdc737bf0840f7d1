// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import GRDB
import Glibc

/// A private copy of a database, in a folder of its own, removed with the value.
final class SQLiteCopy: Sendable {
    private static let prefix = "salvor-sqlite-"

    private let folder: String
    /// The copy, one file without a journal.
    let path: String
    /// The original's journal mode, such as `wal` or `delete`.
    let journalMode: String

    /// Copies the database at `source` as it is at one moment, while others go on writing. Blocks.
    ///
    /// - Parameter held: the moment to copy; nil: one that the copy itself finds.
    /// - Throws: `Failure`; `CancellationError` within some thousand pages after the flag is set.
    convenience init(
        of source: String, held: SQLiteReading? = nil, below directory: String, busySeconds: Int,
        _ flag: CancellationFlag
    ) throws {
        try self.init(of: source, below: directory) { path in
            if let held { return try Self.copy(held, of: source, to: path, flag) }
            return try Self.copy(source, to: path, busySeconds: busySeconds, flag)
        }
    }

    /// Makes the file and lets `fill` put a database into it, which returns the original's journal mode. Blocks.
    init(of source: String, below directory: String, fill: (String) throws -> String) throws {
        Self.removeLeftOvers(below: directory)
        var template = Array("\(directory)/\(Self.prefix)\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure.system("create a folder in", directory, errno) }
        folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        path = folder + "/copy"
        do {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw Failure.system("create", path, errno) }
            close(descriptor)
            journalMode = try fill(path)
            try Self.makePlain(path, source)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)  // the first error is the one to tell
            throw error
        }
    }

    /// The copy says of itself that it has a write-ahead log when the original does; it is to be one plain file.
    private static func makePlain(_ path: String, _ source: String) throws {
        let queue = try saying(path) { try DatabaseQueue(path: path) }
        try saying(source) {
            try queue.writeWithoutTransaction { database in
                let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode = DELETE")
                guard mode == "delete" else {
                    throw Failure(.sourceFailed, "the copy of '\(source)' could not be made one file")
                }
            }
            try queue.close()
        }
    }

    deinit {
        // Nothing can be done about it here; the next capture tries again.
        try? FileManager.default.removeItem(atPath: folder)
    }

    private struct Restarted: Error {}

    private static func copy(
        _ held: SQLiteReading, of source: String, to path: String, _ flag: CancellationFlag
    ) throws -> String {
        try saying(source) {
            let to = try DatabaseQueue(path: path)
            defer { try? to.close() }  // only read from here on
            try held.read { try step($0, to, flag, restarts: 0) }
            return held.journalMode
        }
    }

    private static func copy(_ source: String, to path: String, busySeconds: Int, _ flag: CancellationFlag) throws
        -> String
    {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(TimeInterval(busySeconds))
        return try saying(source) {
            let from = try DatabaseQueue(path: source, configuration: configuration)
            let to = try DatabaseQueue(path: path)
            defer {
                // Both are only read from here on; a failure to close them changes nothing.
                try? from.close()
                try? to.close()
            }
            let mode = try from.unsafeRead { try String.fetchOne($0, sql: "PRAGMA journal_mode") ?? "" }.lowercased()
            // With a write-ahead log, a reader's moment stays while others write, so it is held from the first page to
            // the last. With a rollback journal that would hold up every writer for the whole copy: there, SQLite starts
            // again when somebody wrote, and only when that does not end, writers are held up.
            if mode != "wal" {
                do {
                    try from.unsafeRead { try step($0, to, flag, restarts: 3) }
                    return mode
                } catch is Restarted {}
            }
            try from.read { database in
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
                try step(database, to, flag, restarts: 0)
            }
            return mode
        }
    }

    private static func step(
        _ database: Database, _ to: DatabaseQueue, _ flag: CancellationFlag, restarts: Int
    ) throws {
        var remaining = Int.max
        var left = restarts
        try to.writeWithoutTransaction { target in
            try database.backup(to: target, pagesPerStep: 2048) { progress in
                try flag.check()
                if restarts > 0, progress.remainingPageCount > remaining {
                    left -= 1
                    if left == 0 { throw Restarted() }
                }
                remaining = progress.remainingPageCount
            }
        }
    }

    /// Removes what captures that were killed have left, recognised by the process in their name.
    private static func removeLeftOvers(below directory: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []  // the copy will say it
        for name in names where name.hasPrefix(prefix) {
            let owner = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }) ?? 0
            var status = stat()
            guard owner > 0, kill(owner, 0) != 0, errno == ESRCH, lstat("\(directory)/\(name)", &status) == 0,
                status.st_uid == geteuid(), status.st_mode & S_IFMT == S_IFDIR
            else { continue }
            try? FileManager.default.removeItem(atPath: "\(directory)/\(name)")  // tried again next time
        }
    }
}
