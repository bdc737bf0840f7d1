// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The journal of a restore: what was meant and how far each node and table is. Everything that ends a restore is in it.
struct CassandraRestoreState: Sendable, Codable, Equatable {
    enum Phase: String, Sendable, Codable {
        case staging, staged, promoting, promoted, rollingBack, rolledBack, abandoned, settled
    }

    /// How files get into a node.
    enum Method: String, Sendable, Codable {
        /// `nodetool import`, from 4.0 on.
        case `import`
        /// Files beside the live ones and `nodetool refresh`, before.
        case refresh
        /// `sstableloader`: rows are streamed to whoever owns them now.
        case loader
    }

    enum Progress: String, Sendable, Codable {
        /// Nothing is begun.
        case waiting
        /// Begun, and perhaps half done: it is begun again from an empty table.
        case loading
        case loaded
    }

    /// One keyspace of the bundle.
    struct Keyspace: Sendable, Codable, Equatable {
        var source: String
        /// What it is to replace.
        var live: String
        /// Where it is loaded first, to be looked at; empty when files only are staged.
        var beside: String
        /// The live one is made by this restore.
        var makesLive = false
    }

    struct Table: Sendable, Codable, Equatable {
        /// As captured.
        var captured: CassandraRecord.Table
        var beside = Progress.waiting
        var live = Progress.waiting
        var back = Progress.waiting
        /// The live one is made by this restore.
        var makesLive = false
    }

    /// Files of one captured node and the node that takes them.
    struct Assignment: Sendable, Codable, Equatable {
        var source: String
        var target: String
        /// The folder beside the target that this restore has for itself.
        var folder: String
        var isPlaced = false
    }

    /// A materialized view that is dropped for the load and made again after it, from the table's new rows.
    struct View: Sendable, Codable, Equatable {
        var keyspace: String
        var name: String
        var statement: String
        /// It was there before.
        var wasLive: Bool
    }

    var format = 1
    var phase = Phase.staging
    var method: Method
    /// `import` or `refresh`, as the target's release has it: how old files are put back.
    var ownMethod: Method
    /// Only a new keyspace is made; nothing live is touched.
    var isRenamed: Bool
    /// The bundle is one node's: nothing may be dropped or truncated, since the other nodes' data is in there, too.
    var isOneNode: Bool
    var keyspaces: [Keyspace]
    var tables: [Table]
    var views: [View] = []
    var assignments: [Assignment]
    var areBesidesMade = false
    /// Statements that make what the live keyspaces lack, ids kept.
    var liveStatements: [String] = []
    var isLiveMade = false
    /// The tag on all nodes that has the old state.
    var safetyTag: String
    var isSafe = false

    /// The keyspace a table's files are loaded into beside.
    func keyspace(of table: Table) throws -> Keyspace {
        guard let keyspace = keyspaces.first(where: { $0.source == table.captured.keyspace }) else {
            throw Failure(.stateDamaged, "the journal of the restore lacks keyspace '\(table.captured.keyspace)'")
        }
        return keyspace
    }
}

/// A journal as this adapter writes it.
struct CassandraPage {
    private(set) var state: CassandraRestoreState
    private let journal: any RestoreJournal

    /// The state as recorded; nil when nothing is.
    static func read(_ journal: any RestoreJournal) async throws -> CassandraPage? {
        let value = await journal.recorded
        guard value != .null else { return nil }
        do {
            return CassandraPage(
                try JSONDecoder().decode(CassandraRestoreState.self, from: JSONEncoder().encode(value)), journal)
        } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read: \(error)") }
    }

    init(_ state: CassandraRestoreState, _ journal: any RestoreJournal) {
        self.state = state
        self.journal = journal
    }

    /// Changes the state and makes it durable.
    mutating func write(_ change: (inout CassandraRestoreState) -> Void) async throws {
        change(&state)
        try await journal.record(JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(state)))
    }

    func note(_ text: String) async { await journal.note(text) }
}
