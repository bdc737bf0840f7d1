// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What a restore's journal holds. Where each table is is always asked of the server; the journal says which tables are
/// meant and how far things were.
struct RestoreState: Codable, Sendable, Equatable {
    enum Stage: String, Codable, Sendable {
        /// Nothing of it exists yet, or it is half made.
        case creating
        case staged
        /// Tables and programs are being moved, or were.
        case promoting
        case promoted
        case rolledBack, abandoned, settled
    }

    struct Item: Codable, Sendable, Equatable {
        /// The database's name in the bundle.
        var source: String
        /// The name it is to have.
        var live: String
        var staged: String
        var before: String
        var stage = Stage.creating
        /// Whether the live database was there when promotion began, and how it was made.
        var oldCharacterSet: String?
        var oldCollation: String?
        /// Tables and sequences of the staged copy.
        var newTables: [String] = []
        /// Tables and sequences of the live database when promotion began.
        var oldTables: [String] = []

        var existed: Bool { oldCharacterSet != nil }
    }

    var format = 1
    var items: [Item]
    /// Accounts that this restore makes, as statements write them.
    var accounts: [String] = []

    /// The state as recorded.
    ///
    /// - Throws: `Failure(.restoreNotFound)` when nothing is recorded, `.stateDamaged` when it cannot be read.
    static func recorded(_ journal: any RestoreJournal) async throws -> RestoreState {
        let value = await journal.recorded
        guard value != .null else {
            throw Failure(.restoreNotFound, "this restore has not been staged", hint: "Stage it first.")
        }
        do {
            return try JSONDecoder().decode(RestoreState.self, from: JSONEncoder().encode(value))
        } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read: \(error)") }
    }

    /// Makes the state durable.
    func save(_ journal: any RestoreJournal) async throws {
        try await journal.record(JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)))
    }
}

/// Which tables of a promotion are where.
struct TablePlaces: Sendable {
    let item: RestoreState.Item
    let staged: Set<String>
    let before: Set<String>

    init(_ item: RestoreState.Item, _ catalog: Catalog) async throws {
        self.item = item
        staged = Set(try await catalog.tables(item.staged).filter { !$0.isView }.map(\.name))
        before = Set(try await catalog.tables(item.before).filter { !$0.isView }.map(\.name))
    }

    /// What is left to rename for the new tables to be live, in an order that never needs a name twice.
    var forward: [(from: (String, String), to: (String, String))] {
        let olds = item.oldTables.filter { name in
            // While the new one waits, what has the live name is the old one.
            !before.contains(name) && (staged.contains(name) || !item.newTables.contains(name))
        }
        return olds.map { ((item.live, $0), (item.before, $0)) }
            + item.newTables.filter(staged.contains).map { ((item.staged, $0), (item.live, $0)) }
    }

    /// What is left to rename for the old tables to be live again.
    var backward: [(from: (String, String), to: (String, String))] {
        let news = item.newTables.filter { name in
            // Where the old one has not been moved, the new one never came.
            !staged.contains(name) && (before.contains(name) || !item.oldTables.contains(name))
        }
        return news.map { ((item.live, $0), (item.staged, $0)) }
            + item.oldTables.filter(before.contains).map { ((item.before, $0), (item.live, $0)) }
    }

    /// One statement for all of them; nil when nothing is left.
    static func statement(_ moves: [(from: (String, String), to: (String, String))]) -> String? {
        guard !moves.isEmpty else { return nil }
        return "RENAME TABLE "
            + moves.map { "\(SQLText.name($0.from.0, $0.from.1)) TO \(SQLText.name($0.to.0, $0.to.1))" }
            .joined(separator: ", ")
    }
}
