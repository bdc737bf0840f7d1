// SPDX-License-Identifier: Apache-2.0
import Domain

/// The schema of chosen keyspaces.
struct CapturedSchema: Sendable {
    /// As printed, for people and for recovery by hand.
    var text: String
    /// By keyspace, in order; without tables where the release prints none of their internals.
    var statements: [String: [CQLStatement]]
    var tables: [CassandraRecord.Table]
    /// Keyspaces that are there.
    var keyspaces: [String]
}

/// Reads schemas over CQL.
struct SchemaReader: Sendable {
    let node: CassandraNode
    let release: CassandraRelease

    /// `DESCRIBE SCHEMA WITH INTERNALS` gives ids and dropped columns, from 4.0 on. Before, cqlsh puts the text together
    /// itself, without these; there the tables' own `schema.cql` in the snapshot has them.
    func read(_ chosen: [String]) async throws -> CapturedSchema {
        let all = try await node.rows("SELECT JSON keyspace_name FROM system_schema.keyspaces;")
            .compactMap { $0["keyspace_name"]?.string }.sorted()
        if let missing = chosen.first(where: { !all.contains($0) }) {
            throw Failure(
                .sourceFailed, "there is no keyspace '\(missing)'",
                hint: "Correct 'keyspaces'; there are: "
                    + all.filter { !CassandraRecord.isSystem($0) }.joined(separator: ", ") + ".")
        }
        let keyspaces = chosen.isEmpty ? all.filter { !CassandraRecord.isStaged($0) } : chosen.sorted()
        let text = try await node.cqlsh(release.isFour ? "DESCRIBE SCHEMA WITH INTERNALS;" : "DESCRIBE FULL SCHEMA;")
        var statements: [String: [CQLStatement]] = [:]
        for statement in CQLText.statements(text) {
            guard let keyspace = statement.keyspace, keyspaces.contains(keyspace) else { continue }
            statements[keyspace, default: []].append(statement)
        }
        for keyspace in keyspaces where !CassandraRecord.isSystem(keyspace) {
            guard statements[keyspace]?.contains(where: { $0.kind == .keyspace }) == true else {
                throw Failure(.sourceFailed, "DESCRIBE SCHEMA does not tell how keyspace '\(keyspace)' is made")
            }
        }
        return CapturedSchema(
            text: text, statements: statements, tables: try await tables(Set(keyspaces)), keyspaces: keyspaces)
    }

    /// Tables and views of some keyspaces, with their current ids and columns.
    func tables(_ keyspaces: Set<String>) async throws -> [CassandraRecord.Table] {
        var columns: [String: [String]] = [:]
        for row in try await node.rows(
            "SELECT JSON keyspace_name, table_name, column_name, kind, type FROM system_schema.columns;")
        {
            guard let keyspace = row["keyspace_name"]?.string, let table = row["table_name"]?.string,
                let name = row["column_name"]?.string, let kind = row["kind"]?.string, let type = row["type"]?.string
            else { throw Failure(.sourceFailed, "system_schema.columns has an incomplete row") }
            columns["\(keyspace).\(table)", default: []].append("\(name) \(kind) \(type)")
        }
        var tables: [CassandraRecord.Table] = []
        for (select, isView) in [
            ("SELECT JSON keyspace_name, table_name, id FROM system_schema.tables;", false),
            ("SELECT JSON keyspace_name, view_name, id FROM system_schema.views;", true),
        ] {
            for row in try await node.rows(select) {
                guard let keyspace = row["keyspace_name"]?.string, let id = row["id"]?.string,
                    let name = row[isView ? "view_name" : "table_name"]?.string
                else { throw Failure(.sourceFailed, "system_schema has an incomplete row") }
                guard keyspaces.contains(keyspace) else { continue }
                tables.append(
                    CassandraRecord.Table(
                        keyspace: keyspace, name: name, id: id.lowercased(), isView: isView,
                        columns: (columns["\(keyspace).\(name)"] ?? []).sorted(), digests: [:], sstables: 0,
                        dataBytes: 0))
            }
        }
        return tables.sorted { ($0.keyspace, $0.name) < ($1.keyspace, $1.name) }
    }
}
