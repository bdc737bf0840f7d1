// SPDX-License-Identifier: Apache-2.0
import Domain

/// The accounts and roles of a server with their grants, as statements.
struct Accounts: Sendable {
    /// One account or role.
    struct Account: Sendable, Equatable {
        /// As statements write it: `` `app`@`%` ``, or `` `readers` `` for a role.
        var name: String
        var isRole: Bool
    }

    /// What a bundle says of one of them.
    struct Definition: Sendable, Equatable {
        var name: String
        var creates: [String] = []
        var grants: [String] = []
    }

    let server: Server
    private static let mark = "-- account "
    /// Accounts that a server makes for itself.
    private static let own = ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"]

    /// All accounts, roles first, in order of name.
    func list() async throws -> [Account] {
        let column = server.identity.isMariaDB ? "is_role" : "'N'"
        return try await server.rows(
            "SELECT User, Host, \(column), @@skip_name_resolve FROM mysql.user ORDER BY User, Host"
        )
        // A server that resolves no names does as if accounts with names of hosts were not there.
        .filter { $0.count == 4 && !Self.own.contains($0[0]) && ($0[3] == "0" || !Self.isHostName($0[1])) }
        .map { row in
            let isRole = row[2] == "Y"
            return Account(
                name: isRole ? SQLText.name(row[0]) : "\(SQLText.name(row[0]))@\(SQLText.name(row[1]))",
                isRole: isRole)
        }
        .sorted { ($0.isRole ? 0 : 1, $0.name) < ($1.isRole ? 0 : 1, $1.name) }
    }

    /// Whether the host of an account has to be looked up: neither a pattern nor an address.
    private static func isHostName(_ host: String) -> Bool {
        guard !host.isEmpty, host != "localhost", !host.contains(":") else { return false }
        return !host.utf8.allSatisfy { ($0 >= 46 && $0 <= 57) || $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "_") }
    }

    /// Statements that make all of them again: first the accounts, then what they may do.
    func read() async throws -> (text: [UInt8], names: [String]) {
        let accounts = try await list()
        var text = "-- Accounts and grants of \(server.identity.engine)\n"
        var script: [String] = []
        // Hashes of some methods are no text; servers before 8.0.17 do not know this.
        if !server.identity.isMariaDB { script.append("SET SESSION print_identified_with_as_hex = ON") }
        for account in accounts where !account.isRole {
            script += ["SELECT \(SQLText.literal(Self.mark + account.name))", "SHOW CREATE USER \(account.name)"]
        }
        for account in accounts where account.isRole && account.name != "`PUBLIC`" {
            text += "\(Self.mark)\(account.name)\nCREATE ROLE IF NOT EXISTS \(account.name);\n"
        }
        script.append("SELECT '-- Grants'")
        for account in accounts {
            script += ["SELECT \(SQLText.literal(Self.mark + account.name))", "SHOW GRANTS FOR \(account.name)"]
        }
        for row in try await server.rows(script.joined(separator: ";\n")) {
            guard let line = row.first else { continue }
            if line.hasPrefix("--") {
                text += line + "\n"
            } else if let rest = line.droppingPrefix("CREATE USER ") {
                text += "CREATE USER IF NOT EXISTS \(rest);\n"
            } else {
                text += line + ";\n"
            }
        }
        text += "-- Accounts completed\n"
        return (Array(text.utf8), accounts.map(\.name))
    }

    /// What a bundle's text says, account by account.
    ///
    /// - Throws: `Failure(.integrity)` when the text has no end.
    static func definitions(_ text: String) throws -> [Definition] {
        guard text.hasSuffix("-- Accounts completed\n") else {
            throw Failure(.integrity, "the bundle's accounts have no end")
        }
        var found: [String: Definition] = [:]
        var order: [String] = []
        var name: String?
        for line in text.split(separator: "\n").map(String.init) {
            if let account = line.droppingPrefix(mark) {
                name = account
                if found[account] == nil {
                    order.append(account)
                    found[account] = Definition(name: account)
                }
            } else if !line.hasPrefix("--"), let name {
                let statement = line.hasSuffix(";") ? String(line.dropLast()) : line
                if statement.hasPrefix("CREATE ") {
                    found[name]?.creates.append(statement)
                } else {
                    found[name]?.grants.append(statement)
                }
            }
        }
        return order.compactMap { found[$0] }.filter { !$0.creates.isEmpty }
    }
}
