// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What a restore's journal holds. Where things are is always asked of the catalog, by object id, which renaming does not
/// change; the journal only says which ids are ours and what was meant.
struct RestoreState: Codable, Sendable {
    enum Stage: String, Codable, Sendable {
        /// Nothing of it exists yet, or it is half made.
        case creating
        /// Staged whole.
        case staged
        /// The swap has begun, and is finished or not.
        case promoting
        case promoted
        case rolledBack
        case abandoned
        case settled
    }

    struct Item: Codable, Sendable {
        /// The database's name in the bundle.
        var source: String
        /// The name it is to have.
        var live: String
        var staged: String
        var before: String
        var stage = Stage.creating
        /// Object id of the staged database, once it is made.
        var stagedID: Int64?
        /// Object id of the database that was live when promotion began; nil: there was none.
        var liveID: Int64?

        /// Every name the database has or gets, for working on it from elsewhere.
        var names: [String] { [live, staged, before] }
    }

    var format = 1
    var items: [Item]
    /// Roles that this restore makes.
    var roles: [String] = []

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

/// The databases of a server as its catalog lists them now.
struct DatabaseList: Sendable {
    struct Entry: Decodable, Sendable {
        var oid: Int64
        var name: String
        var allowsConnections: Bool
        var sessions: Int
    }

    let entries: [Entry]

    static func read(_ server: Server) async throws -> DatabaseList {
        DatabaseList(
            entries: try await server.rows(
                Entry.self,
                """
                SELECT d.oid::bigint AS oid, d.datname AS name, d.datallowconn AS allows_connections,
                    (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()
                        AND a.backend_type <> 'autovacuum worker')::int AS sessions
                FROM pg_database d
                """))
    }

    func named(_ name: String) -> Entry? { entries.first { $0.name == name } }

    func with(id: Int64?) -> Entry? { id.flatMap { id in entries.first { $0.oid == id } } }
}
