// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import GRDB

/// A read transaction, open beyond one call: what it sees does not change any more.
///
/// With a write-ahead log others go on writing, and the log grows until this ends. With a rollback journal they wait, as
/// for any reader.
final class SQLiteReading: Sendable {
    /// The database's journal mode, such as `wal` or `delete`.
    let journalMode: String
    private let queue: DatabaseQueue

    /// Opens the database at `source` and fixes what is seen. Blocks, at most as long as a lock may take.
    init(_ source: String, busySeconds: Int) throws {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(TimeInterval(busySeconds))
        configuration.allowsUnsafeTransactions = true
        let (queue, mode) = try saying(source) {
            let queue = try DatabaseQueue(path: source, configuration: configuration)
            let mode = try queue.unsafeRead { database in
                let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode") ?? ""
                try database.execute(sql: "BEGIN")
                // The first read, not BEGIN, fixes the moment (https://sqlite.org/lang_transaction.html).
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
                return mode.lowercased()
            }
            return (queue, mode)
        }
        self.queue = queue
        journalMode = mode
    }

    /// Reads in the transaction; blocks.
    func read(_ body: (Database) throws -> Void) throws { try queue.unsafeRead(body) }

    /// Ends the transaction.
    func close() throws {
        try queue.unsafeRead { try $0.execute(sql: "ROLLBACK") }
        try queue.close()
    }
}

/// A database file as it was at one moment. Nothing is left beside it when this process dies.
struct FrozenDatabase: FrozenSource {
    let adapter: SQLiteAdapter
    let original: DatabaseFile
    let reading: SQLiteReading
    let frozen: (from: Timestamp, to: Timestamp)

    var position: String? { nil }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await adapter.capture(original, held: reading, into: sink)
    }

    func release() async throws {
        try await Blocking.run { [reading, path = original.path] in try saying(path) { try reading.close() } }
    }
}

extension SQLiteAdapter: FreezingAdapter {
    func freeze() async throws -> any FrozenSource {
        let (settings, clock) = (settings, environment.clock)
        let (original, reading, frozen) = try await Blocking.run {
            let original = try DatabaseFile.existing(settings.path)
            let from = clock.now()
            let reading = try SQLiteReading(original.path, busySeconds: settings.busyTimeoutSeconds)
            return (original, reading, (from: from, to: clock.now()))
        }
        return FrozenDatabase(adapter: self, original: original, reading: reading, frozen: frozen)
    }
}
