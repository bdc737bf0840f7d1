// SPDX-License-Identifier: Apache-2.0

/// SQL for what belongs to a database as a whole.
enum DatabaseStatements {
    /// Makes an empty database of the source's encoding, locale and owner.
    ///
    /// - Parameters:
    ///   - major: the target server's.
    ///   - tablespaces: those of the target; another one falls back to the default.
    static func create(_ name: String, like record: DatabaseRecord, major: Int, tablespaces: Set<String>) -> String {
        var parts = [
            "CREATE DATABASE \(SQLText.identifier(name)) TEMPLATE template0",
            "ENCODING \(SQLText.literal(record.encoding))",
        ]
        if let collate = record.collate { parts.append("LC_COLLATE \(SQLText.literal(collate))") }
        if let ctype = record.ctype { parts.append("LC_CTYPE \(SQLText.literal(ctype))") }
        if major >= 15 {
            switch record.provider {
            case "i":
                parts.append("LOCALE_PROVIDER icu")
                if let locale = record.locale { parts.append("ICU_LOCALE \(SQLText.literal(locale))") }
                if let rules = record.icuRules, major >= 16 { parts.append("ICU_RULES \(SQLText.literal(rules))") }
            case "b":
                parts.append("LOCALE_PROVIDER builtin")
                if let locale = record.locale { parts.append("BUILTIN_LOCALE \(SQLText.literal(locale))") }
            default: parts.append("LOCALE_PROVIDER libc")
            }
        }
        parts.append("OWNER \(SQLText.identifier(record.owner))")
        if record.tablespace != "pg_default", tablespaces.contains(record.tablespace) {
            parts.append("TABLESPACE \(SQLText.identifier(record.tablespace))")
        }
        return parts.joined(separator: " ") + ";"
    }

    /// Gives `name` the source's privileges, comment and connection limit.
    static func properties(_ name: String, like record: DatabaseRecord) -> String {
        let database = SQLText.identifier(name)
        var script = """
            BEGIN;
            REVOKE ALL ON DATABASE \(database) FROM PUBLIC;
            REVOKE ALL ON DATABASE \(database) FROM \(SQLText.identifier(record.owner));

            """
        for grant in record.acl {
            let grantee = grant.grantee.map(SQLText.identifier) ?? "PUBLIC"
            script += "GRANT \(grant.privilege) ON DATABASE \(database) TO \(grantee)"
            script += grant.isGrantable ? " WITH GRANT OPTION;\n" : ";\n"
        }
        script += "COMMENT ON DATABASE \(database) IS \(record.comment.map(SQLText.literal) ?? "NULL");\n"
        script += "ALTER DATABASE \(database) CONNECTION LIMIT \(record.connectionLimit);\n"
        return script + "COMMIT;"
    }

    /// One statement for each setting of the database and of roles in it.
    static func settings(_ name: String, like record: DatabaseRecord) -> [String] {
        let database = SQLText.identifier(name)
        return record.settings.flatMap { setting in
            setting.values.compactMap { pair in
                guard let split = pair.firstIndex(of: "=") else { return nil }
                let parameter = String(pair[..<split])
                let value = SQLText.value(of: parameter, String(pair[pair.index(after: split)...]))
                let target =
                    setting.role.map { "ALTER ROLE \(SQLText.identifier($0)) IN DATABASE \(database)" }
                    ?? "ALTER DATABASE \(database)"
                return "\(target) SET \(SQLText.parameter(parameter)) TO \(value);"
            }
        }
    }

    /// Ends all sessions of a database.
    static func terminate(id: Int64) -> String {
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datid = \(id) AND pid <> pg_backend_pid();"
    }

    static func allowConnections(_ name: String, _ isAllowed: Bool) -> String {
        "ALTER DATABASE \(SQLText.identifier(name)) WITH ALLOW_CONNECTIONS \(isAllowed);"
    }

    static func rename(_ name: String, to other: String) -> String {
        "ALTER DATABASE \(SQLText.identifier(name)) RENAME TO \(SQLText.identifier(other));"
    }

    static func drop(_ name: String) -> String {
        "DROP DATABASE IF EXISTS \(SQLText.identifier(name)) WITH (FORCE);"
    }
}
