// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// What the server's own tables say of one database.
struct Catalog: Sendable {
    /// A table, sequence or view.
    struct Table: Sendable, Equatable {
        var name: String
        var isView: Bool
        var engine: String
        var hasTransactions: Bool
        var isSequence: Bool
    }

    let server: Server

    /// Databases with character set and collation, the server's own left out.
    func databases() async throws -> [(name: String, characterSet: String, collation: String)] {
        try await server.rows(
            """
            SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME
            FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME
            """
        ).filter { $0.count == 3 && !MariaDBSettings.isSystem($0[0]) }.map { ($0[0], $0[1], $0[2]) }
    }

    /// Tables, sequences and views of a database, in order of name.
    func tables(_ database: String) async throws -> [Table] {
        try await server.rows(
            """
            SELECT t.TABLE_NAME, t.TABLE_TYPE, IFNULL(t.ENGINE, ''), IFNULL(e.TRANSACTIONS, 'NO')
            FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
            WHERE t.TABLE_SCHEMA = \(SQLText.literal(database)) ORDER BY t.TABLE_NAME
            """
        ).filter { $0.count == 4 }.map {
            Table(
                name: $0[0], isView: $0[1].contains("VIEW"), engine: $0[2], hasTransactions: $0[3] == "YES",
                isSequence: $0[1] == "SEQUENCE")
        }
    }

    /// Bytes of data and indexes, as the engines estimate them.
    func bytes(_ database: String) async throws -> Int64 {
        let rows = try await server.rows(
            """
            SELECT CAST(IFNULL(SUM(IFNULL(DATA_LENGTH, 0) + IFNULL(INDEX_LENGTH, 0)), 0) AS SIGNED)
            FROM information_schema.TABLES WHERE TABLE_SCHEMA = \(SQLText.literal(database))
            """)
        return rows.first?.first.flatMap { Int64($0) } ?? 0
    }

    /// Names of what runs inside the database, by kind.
    struct Programs: Sendable, Equatable {
        /// Kind (`FUNCTION`, `PROCEDURE`, `PACKAGE`…) and name.
        var routines: [(kind: String, name: String)]
        var triggers: [String]
        var events: [String]

        static func == (left: Programs, right: Programs) -> Bool {
            left.routines.map { "\($0) \($1)" } == right.routines.map { "\($0) \($1)" }
                && left.triggers == right.triggers && left.events == right.events
        }
    }

    func programs(_ database: String) async throws -> Programs {
        let schema = SQLText.literal(database)
        let rows = try await server.rows(
            """
            SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = \(schema)
            UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \(schema)
            UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = \(schema)
            ORDER BY 1, 2
            """
        ).filter { $0.count == 2 }
        func names(_ kind: String) -> [String] { rows.filter { $0[0] == kind }.map { $0[1] } }
        return Programs(
            routines: rows.filter { $0[0] != "TRIGGER" && $0[0] != "EVENT" }.map { ($0[0], $0[1]) },
            triggers: names("TRIGGER"), events: names("EVENT"))
    }

    /// Facts about routines, views and triggers that are the same in any database they are loaded into.
    ///
    /// - Parameters:
    ///   - database: where they are.
    ///   - name: the database's name in the facts.
    func programFacts(_ database: String, as name: String) async throws -> Facts {
        let schema = SQLText.literal(database)
        let rows = try await server.rows(
            """
            SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME, CONCAT_WS(CHAR(10), IFNULL(DTD_IDENTIFIER, ''),
                IFNULL(ROUTINE_DEFINITION, ''), IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE, SQL_MODE, DEFINER)
            FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = \(schema)
            UNION ALL SELECT 'trigger', TRIGGER_NAME, CONCAT_WS(CHAR(10), EVENT_OBJECT_TABLE, ACTION_TIMING,
                EVENT_MANIPULATION, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE, DEFINER)
            FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \(schema)
            UNION ALL SELECT 'view', v.TABLE_NAME, CONCAT_WS(CHAR(10), v.CHECK_OPTION, v.SECURITY_TYPE, v.DEFINER,
                (SELECT COUNT(*) FROM information_schema.COLUMNS c
                    WHERE c.TABLE_SCHEMA = v.TABLE_SCHEMA AND c.TABLE_NAME = v.TABLE_NAME))
            FROM information_schema.VIEWS v WHERE v.TABLE_SCHEMA = \(schema)
            """)
        var facts = Facts()
        for row in rows where row.count == 3 {
            facts["\(name) \(row[0]) \(row[1])"] = .text(
                String(SHA256Digest.of(Array(row[2].utf8)).description.prefix(32)))
        }
        return facts
    }
}
