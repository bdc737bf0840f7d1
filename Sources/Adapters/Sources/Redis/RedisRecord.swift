// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// How far the restore of one server is, as its journal keeps it.
struct RedisRecord: Codable, Sendable, Equatable {
    /// Each is noted before its work begins, except those that say that something is done.
    enum Phase: String, Codable, Sendable {
        case none, staging, staged
        /// The live server's own data is being copied aside.
        case keeping
        /// The live server may follow the scratch server.
        case replicating
        /// The live server has the new data and is its own master again; the rest is being put in order.
        case replaced
        case promoted
        /// As `replicating`, with the old data.
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    var phase = Phase.none
    /// The scratch server's program.
    var program: String?
    /// Where the live server reaches the scratch server.
    var address: String?
    /// Databases that the scratch server must offer.
    var databases = 16
    /// The live server's replication id before anything was changed.
    var liveReplicationID: String?
    /// The scratch server's replication id and port while it replicates.
    var sourceReplicationID: String?
    var sourcePort: Int?
    /// What the live server held before, by fact.
    var oldFacts: Facts?
    /// Whether `masterauth` of the live server, which was empty, is set and must be emptied again.
    var setsMasterPassword = false
    /// Whether `tls-replication` of the live server is switched off, and must be switched on again.
    var setsPlainReplication: Bool?
    /// Users of the live server that are made or changed.
    var users: [String] = []
}

/// The journal with the record as it was last written.
struct RedisPage: Sendable {
    private let journal: any RestoreJournal
    private(set) var record: RedisRecord

    init(_ journal: any RestoreJournal) async throws {
        self.journal = journal
        let value = await journal.recorded
        if value == .null {
            record = RedisRecord()
        } else {
            do {
                record = try JSONDecoder().decode(RedisRecord.self, from: try JSONEncoder().encode(value))
            } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read") }
        }
    }

    /// Changes the record; durable when it returns.
    mutating func write(_ change: (inout RedisRecord) -> Void) async throws {
        var next = record
        change(&next)
        guard next != record else { return }
        try await journal.record(
            try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(next)))
        record = next
    }

    func note(_ message: String) async { await journal.note(message) }
}
