// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// How far the restore of one database is, as its journal keeps it. What happened since is told by the inodes.
struct SQLiteRecord: Codable, Sendable, Equatable {
    enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    var phase = Phase.none
    /// The path that is restored to, symbolic links followed.
    var target = ""
    /// Inode of the staged file.
    var new: UInt64?
    /// Inode of the file that was there before; nil: none.
    var old: UInt64?

    static func read(_ journal: any RestoreJournal) async throws -> SQLiteRecord {
        let value = await journal.recorded
        if value == .null { return SQLiteRecord() }
        do {
            return try JSONDecoder().decode(SQLiteRecord.self, from: try JSONEncoder().encode(value))
        } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read") }
    }

    func write(to journal: any RestoreJournal) async throws {
        try await journal.record(try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(self)))
    }
}
