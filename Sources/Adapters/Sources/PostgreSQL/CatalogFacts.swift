// SPDX-License-Identifier: Apache-2.0
import Domain

/// Counts what is in a database, the same way at capture and after a restore.
struct CatalogFacts: Sendable {
    /// Where the counts are taken; it decides what an invalid index means.
    enum Place: Sendable {
        case source
        case restored
    }

    let session: SnapshotSession
    /// The source's name of the database, in front of every fact.
    let database: String
    let counting: PostgreSQLSettings.Counting
    let place: Place

    /// Conditions for objects of users: no system schema, no temporary one.
    static func isOrdinary(_ namespace: String) -> String {
        "\(namespace) IN (SELECT n.oid FROM pg_namespace n "
            + "WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"
    }

    /// All facts.
    func collect() async throws -> Facts {
        var facts = Facts()
        let prefix = Self.prefix(database)
        for (name, value) in try await structure() { facts[prefix + name] = value }
        for (name, value) in try await rowCounts() { facts[prefix + name] = value }
        for value in try await sequences() {
            facts[Self.sequenceFact(database, value.schema, value.name)] = Self.sequenceValue(
                value.lastValue, value.isCalled)
        }
        return facts
    }

    static func sequenceFact(_ database: String, _ schema: String, _ name: String) -> String {
        prefix(database) + label(schema, name) + " sequence"
    }

    /// In front of every fact of a database: its name and a slash, with slashes in the name itself escaped, so that no
    /// database's prefix begins with another's.
    static func prefix(_ database: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in database.unicodeScalars {
            switch scalar {
            case "/": result.append(contentsOf: "%2F".unicodeScalars)
            case "%": result.append(contentsOf: "%25".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result) + "/"
    }

    /// `schema.name`, quoted as in SQL where it would not be clear which part is which.
    private static func label(_ schema: String, _ name: String) -> String {
        [schema, name].map { part in
            part.unicodeScalars.contains { ".\"/".unicodeScalars.contains($0) || $0.properties.isWhitespace }
                ? SQLText.identifier(part) : part
        }.joined(separator: ".")
    }

    static func sequenceValue(_ value: Int64, _ isCalled: Bool) -> Facts.Value {
        .text(isCalled ? "\(value)" : "\(value), not called")
    }

    // MARK: - Rows

    private struct Relation: Decodable, Sendable {
        var schema: String
        var name: String
    }

    private struct Count: Decodable, Sendable {
        var position: Int
        var rows: Int64
    }

    private func rowCounts() async throws -> [(String, Facts.Value)] {
        let tables = try await relations(kind: "r")
        var counts: [(String, Facts.Value)] = []
        // One statement for many tables saves round trips; not for all, so that a statement stays readable.
        for start in stride(from: 0, to: tables.count, by: 100) {
            let part = tables[start..<min(start + 100, tables.count)]
            let query = part.enumerated().map { offset, table in
                let name = "\(SQLText.identifier(table.schema)).\(SQLText.identifier(table.name))"
                // ONLY: rows of children are counted with the children.
                return counting == .exact
                    ? "SELECT \(start + offset) AS position, count(*) AS rows FROM ONLY \(name)"
                    : "SELECT \(start + offset) AS position, EXISTS (SELECT FROM ONLY \(name))::int AS rows"
            }.joined(separator: " UNION ALL ")
            for count in try await session.rows(Count.self, query) {
                let table = tables[count.position]
                counts.append(
                    counting == .exact
                        ? (Self.label(table.schema, table.name) + " rows", .count(count.rows))
                        : (Self.label(table.schema, table.name) + " rows", .text(count.rows == 0 ? "none" : "some")))
            }
        }
        return counts
    }

    // MARK: - Sequences

    private struct Sequence: Decodable, Sendable {
        var schema: String
        var name: String
        var lastValue: Int64
        var isCalled: Bool
    }

    private func sequences() async throws -> [Sequence] {
        let names = try await relations(kind: "S")
        var sequences: [Sequence] = []
        for start in stride(from: 0, to: names.count, by: 100) {
            let query = names[start..<min(start + 100, names.count)].map {
                "SELECT \(SQLText.literal($0.schema)) AS schema, \(SQLText.literal($0.name)) AS name, last_value, "
                    + "is_called FROM \(SQLText.identifier($0.schema)).\(SQLText.identifier($0.name))"
            }.joined(separator: " UNION ALL ")
            sequences += try await session.rows(Sequence.self, query)
        }
        return sequences
    }

    private func relations(kind: String) async throws -> [Relation] {
        try await session.rows(
            Relation.self,
            """
            SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = '\(kind)' AND c.relpersistence <> 't' AND \(Self.isOrdinary("c.relnamespace"))
                AND \(Self.isOwn("pg_class", "c.oid")) ORDER BY 1, 2
            """)
    }

    // MARK: - Structure

    private struct Structure: Decodable, Sendable {
        var tables: Int64
        var foreignTables: Int64
        var views: Int64
        var materializedViews: Int64
        var unpopulated: Int64
        var indexes: Int64
        var invalidOfTables: Int64
        var invalidOfPartitioned: Int64
        var constraints: Int64
        var notValid: Int64
        var functions: Int64
        var triggers: Int64
        var policies: Int64
        var eventTriggers: Int64
        var largeObjects: Int64
        var extensions: String
    }

    private func structure() async throws -> [(String, Facts.Value)] {
        guard let found = try await session.rows(Structure.self, Self.structureQuery).first else {
            throw Failure(.sourceFailed, "the catalog of database '\(database)' cannot be counted")
        }
        // pg_dump leaves out invalid indexes of tables (left by a failed CREATE INDEX CONCURRENTLY) and keeps those of
        // partitioned tables, so a good copy has exactly the latter.
        let invalid =
            place == .source
            ? found.invalidOfPartitioned : found.invalidOfTables + found.invalidOfPartitioned
        return [
            ("tables", .count(found.tables)), ("foreign tables", .count(found.foreignTables)),
            ("views", .count(found.views)), ("materialized views", .count(found.materializedViews)),
            ("materialized views not populated", .count(found.unpopulated)), ("indexes", .count(found.indexes)),
            ("invalid indexes", .count(invalid)), ("constraints", .count(found.constraints)),
            ("constraints not validated", .count(found.notValid)), ("functions", .count(found.functions)),
            ("triggers", .count(found.triggers)), ("policies", .count(found.policies)),
            ("event triggers", .count(found.eventTriggers)), ("large objects", .count(found.largeObjects)),
            ("extensions", .text(found.extensions)),
        ]
    }

    /// A condition for objects that no extension brought along: a newer extension may bring others.
    private static func isOwn(_ catalog: String, _ oid: String) -> String {
        "NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '\(catalog)'::regclass "
            + "AND x.objid = \(oid) AND x.deptype IN ('e', 'i') AND x.refclassid <> 'pg_class'::regclass)"
    }

    /// Constraints without NOT NULL, which only PostgreSQL 18 and later lists among them.
    private static let structureQuery = """
        WITH c AS (SELECT c.oid, c.relkind, c.relispopulated FROM pg_class c WHERE c.relpersistence <> 't'
            AND \(isOrdinary("c.relnamespace")) AND \(isOwn("pg_class", "c.oid"))),
        i AS (SELECT c.relkind, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid IN (SELECT oid FROM c)),
        k AS (SELECT k.convalidated FROM pg_constraint k WHERE k.contype NOT IN ('n', 't')
            AND (k.conrelid IN (SELECT oid FROM c) OR k.conrelid = 0 AND \(isOrdinary("k.connamespace"))
                AND \(isOwn("pg_constraint", "k.oid")) AND \(isOwn("pg_type", "k.contypid"))))
        SELECT count(*) FILTER (WHERE relkind IN ('r', 'p')) AS tables,
            count(*) FILTER (WHERE relkind = 'f') AS foreign_tables,
            count(*) FILTER (WHERE relkind = 'v') AS views,
            count(*) FILTER (WHERE relkind = 'm') AS materialized_views,
            count(*) FILTER (WHERE relkind = 'm' AND NOT relispopulated) AS unpopulated,
            (SELECT count(*) FROM i WHERE indisvalid OR relkind = 'I') AS indexes,
            (SELECT count(*) FROM i WHERE NOT indisvalid AND relkind = 'i') AS invalid_of_tables,
            (SELECT count(*) FROM i WHERE NOT indisvalid AND relkind = 'I') AS invalid_of_partitioned,
            (SELECT count(*) FROM k) AS constraints,
            (SELECT count(*) FROM k WHERE NOT convalidated) AS not_valid,
            (SELECT count(*) FROM pg_proc p WHERE \(isOrdinary("p.pronamespace"))
                AND \(isOwn("pg_proc", "p.oid"))) AS functions,
            (SELECT count(*) FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0
                AND t.tgrelid IN (SELECT oid FROM c)) AS triggers,
            (SELECT count(*) FROM pg_policy p WHERE p.polrelid IN (SELECT oid FROM c)) AS policies,
            (SELECT count(*) FROM pg_event_trigger e WHERE \(isOwn("pg_event_trigger", "e.oid"))) AS event_triggers,
            (SELECT count(*) FROM pg_largeobject_metadata) AS large_objects,
            (SELECT coalesce(string_agg(extname, ', ' ORDER BY extname), '') FROM pg_extension) AS extensions
        FROM c
        """
}
