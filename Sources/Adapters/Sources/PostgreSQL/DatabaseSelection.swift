// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// Which databases of a server a capture takes.
struct DatabaseSelection: Sendable {
    struct Candidate: Decodable, Sendable {
        var name: String
        var isTemplate: Bool
        var allowsConnections: Bool
        /// Left half dropped by a `DROP DATABASE` that was interrupted (`datconnlimit` -2).
        var isInvalid: Bool
        var mayConnect: Bool
    }

    let server: Server

    /// Every database of the server, whether it is taken or not.
    func candidates() async throws -> [Candidate] {
        try await server.rows(
            Candidate.self,
            """
            SELECT datname AS name, datistemplate AS is_template, datallowconn AS allows_connections,
                datconnlimit = -2 AS is_invalid, has_database_privilege(oid, 'CONNECT') AS may_connect
            FROM pg_database ORDER BY datname
            """)
    }

    /// What is left out although the plan says `all`, for people.
    func leftOut(among candidates: [Candidate]) -> [String] {
        guard server.settings.databases == .all else { return [] }
        return candidates.filter { !$0.isTemplate && server.settings.includes($0.name) }.compactMap {
            if $0.isInvalid { return "database '\($0.name)' was left half dropped and is not stored" }
            if !$0.allowsConnections { return "database '\($0.name)' accepts no connections and is not stored" }
            if Self.isStagedCopy($0.name) {
                return "database '\($0.name)' is a restore's staged copy and is not stored"
            }
            return nil
        }
    }

    /// The names to capture.
    ///
    /// - Throws: `Failure(.sourceFailed)` when a database the plan names is not there or cannot be connected to,
    ///   `.nothingSelected` when none is left.
    func names(among candidates: [Candidate]) throws -> [String] {
        let settings = server.settings
        if case .named(let wanted) = settings.databases {
            for name in wanted {
                guard let found = candidates.first(where: { $0.name == name }) else {
                    throw Failure(
                        .sourceFailed, "the database '\(name)' does not exist",
                        hint:
                            "Correct 'databases' in the plan; there are: \(candidates.map(\.name).joined(separator: ", "))."
                    )
                }
                guard found.allowsConnections, !found.isInvalid else {
                    throw Failure(.sourceFailed, "the database '\(name)' does not accept connections")
                }
            }
        }
        let names = candidates.filter {
            let isCopy = settings.databases == .all && Self.isStagedCopy($0.name)
            return $0.allowsConnections && !$0.isInvalid && !isCopy
                && (!$0.isTemplate || settings.databases != .all) && settings.includes($0.name)
        }.map(\.name)
        guard !names.isEmpty else {
            throw Failure(
                .nothingSelected, "no database is selected", hint: "Correct 'databases' and 'exclude' in the plan.")
        }
        return names
    }

    /// Whether the name is one that a restore gives its staged copy: not data of its own. Old copies that a restore keeps
    /// accept no connections, so they are not taken either.
    static func isStagedCopy(_ name: String) -> Bool {
        guard let start = name.range(of: "__salvor_", options: .backwards)?.upperBound else { return false }
        let id = name[start...]
        return !id.isEmpty && id.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) }
    }
}
