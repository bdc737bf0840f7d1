// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What the connected account may do, as `SHOW GRANTS` tells it.
struct Rights: Sendable {
    /// Where rights are given, in lower case without backticks (`*.*`, `app.*`, `mysql.proc`), and which.
    private let given: [(place: String, rights: Set<String>)]

    init(_ lines: [String]) {
        given = lines.compactMap { line in
            guard let rest = line.droppingPrefix("GRANT "), let on = rest.range(of: " ON "),
                let to = rest[on.upperBound...].range(of: " TO ")
            else { return nil }
            var place = rest[on.upperBound..<to.lowerBound].lowercased().filter { $0 != "`" }
            // Grants on databases are patterns; an underscore that is meant as such is escaped.
            place = place.split(separator: "\\", omittingEmptySubsequences: true).joined()
            let rights = rest[..<on.lowerBound].split(separator: ",").map {
                $0.split(separator: "(")[0].split(separator: " ").joined(separator: " ").uppercased()
            }
            return (place, Set(rights))
        }
    }

    static func read(_ server: Server) async throws -> Rights {
        Rights(try await server.rows("SHOW GRANTS").compactMap(\.first))
    }

    /// Whether one of `rights` is held everywhere, or at `place` (`app.*`).
    func holds(_ rights: [String], at place: String? = nil) -> Bool {
        given.contains { grant in
            let isThere =
                grant.place == "*.*"
                || place.map { grant.place == $0.lowercased() || Self.covers(grant.place, $0.lowercased()) } == true
            return isThere
                && (grant.rights.contains("ALL PRIVILEGES") || rights.contains { grant.rights.contains($0) })
        }
    }

    /// Whether a grant on a database (`app.*`, `app%.*`) reaches `place` within it.
    private static func covers(_ grant: String, _ place: String) -> Bool {
        guard let pattern = grant.droppingSuffix(".*"), let dot = place.firstIndex(of: ".") else { return false }
        return NamePattern(String(pattern.map { $0 == "%" ? "*" : $0 })).matches(String(place[..<dot]))
    }
}

extension Rights {
    /// What a backup of `databases` needs and does not have, as words for a GRANT statement.
    func missing(for databases: [String], settings: MariaDBSettings, identity: ServerIdentity) -> [String] {
        var missing: [String] = []
        func need(_ rights: String..., everywhere: Bool = false) {
            let isHeld = everywhere ? holds(rights) : databases.allSatisfy { holds(rights, at: "\($0).*") }
            if !isHeld { missing.append(rights[0]) }
        }
        need("SELECT")
        need("SHOW VIEW")
        need("TRIGGER")
        need("EVENT")
        // Looking at a view that calls a function takes the right to call it.
        need("EXECUTE")
        if settings.nonTransactional == .lock { need("LOCK TABLES") }
        if identity.hasBinaryLog {
            need(
                identity.isMariaDB ? "BINLOG MONITOR" : "REPLICATION CLIENT", "REPLICATION CLIENT", "SUPER",
                everywhere: true)
            need("RELOAD", everywhere: true)
        }
        // Without it the bodies of other people's routines are left out, and nobody says so.
        let seesRoutines =
            identity.isMariaDB
            ? holds(["SELECT"], at: "mysql.proc") || holds(["SHOW CREATE ROUTINE"])
            : holds(["SELECT", "SHOW_ROUTINE"])
        let seesAccounts = !settings.capturesAccounts || holds(["SELECT"], at: "mysql.user")
        if !seesRoutines || !seesAccounts, !missing.contains("SELECT") { missing.append("SELECT") }
        return missing
    }

    /// What a restore needs everywhere and does not have.
    var missingForRestore: [String] {
        [
            "SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES", "CREATE VIEW",
            "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "TRIGGER", "EVENT",
        ].filter { !holds([$0]) }
    }

    /// Whether views, routines, triggers and events of other accounts can be made.
    var setsDefiners: Bool { holds(["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"]) }
}
