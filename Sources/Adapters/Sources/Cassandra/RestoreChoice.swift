// SPDX-License-Identifier: Apache-2.0
import Domain

/// What of a bundle is restored.
struct RestoreChoice: Sendable {
    var tables: [CassandraRecord.Table]
    var views: [CassandraRecord.Table]
    /// Sorted.
    var keyspaces: [String]

    /// - Parameter include: `keyspace` or `keyspace.table`, with `*` for any number of characters; empty: every keyspace
    ///   that is not the server's own.
    init(_ record: CassandraRecord, include: [String]) throws {
        for text in include where !record.tables.contains(where: { Self.matches(text, $0) }) {
            throw Failure(
                .nothingSelected, "nothing in the bundle matches '\(text)'",
                hint: "Name a keyspace or keyspace.table; there are: "
                    + record.keyspaces.filter { !CassandraRecord.isSystem($0) }.joined(separator: ", ") + ".")
        }
        let chosen = record.tables.filter { table in
            include.isEmpty
                ? !CassandraRecord.isSystem(table.keyspace) : include.contains { Self.matches($0, table) }
        }
        tables = chosen.filter { !$0.isView }
        let bases = Set(tables.map(\.qualified))
        // A view belongs to its table, whether named or not.
        views = record.tables.filter { view in
            view.isView && !CassandraRecord.isSystem(view.keyspace)
                && record.base(of: view).map { bases.contains("\(view.keyspace).\($0)") } ?? false
        }
        keyspaces = Set(tables.map(\.keyspace)).sorted()
        guard !tables.isEmpty else {
            throw Failure(.nothingSelected, "the bundle holds no keyspace but the server's own")
        }
    }

    private static func matches(_ pattern: String, _ table: CassandraRecord.Table) -> Bool {
        let parts = pattern.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        // The server's own keyspaces are meant only by their whole names.
        guard !CassandraRecord.isSystem(table.keyspace) || parts[0] == table.keyspace else { return false }
        return NamePattern(parts[0]).matches(table.keyspace)
            && (parts.count == 1 || NamePattern(parts[1]).matches(table.name))
    }

    /// A name for the copy of `keyspace` beside the live one: at most 48 characters, as the server allows.
    static func beside(_ keyspace: String, _ index: Int, _ restoreID: String) -> String {
        let suffix = "__salvor_\(restoreID)"
        let name = keyspace.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") } + suffix
        return name.utf8.count <= 48 && keyspace == keyspace.lowercased() ? name : "k\(index)\(suffix)"
    }
}

extension CassandraRecord {
    /// The statement that makes a view or a table.
    func statement(_ kind: CQLStatement.Kind, _ keyspace: String, _ name: String) -> CQLStatement? {
        statements[keyspace]?.lazy.map(CQLStatement.init).first { $0.kind == kind && $0.name == name }
    }

    /// The table that a view is of.
    func base(of view: Table) -> String? {
        guard let statement = statement(.view, view.keyspace, view.name) else { return nil }
        let words = CQLText.words(statement.text)
        guard let from = words.firstIndex(where: { !$0.isQuoted && $0.text.uppercased() == "FROM" }),
            from + 2 < words.count
        else { return nil }
        return words[from + 1].name == view.keyspace ? words[from + 2].name : words[from + 1].name
    }

    /// The statements of one keyspace for another, without ids. Triggers need their code on the server; views come last,
    /// after the rows they are made of.
    func statements(
        _ keyspace: String, as name: String, kinds: Set<CQLStatement.Kind>, tables: Set<String>, keepsIDs: Bool
    ) -> [String] {
        (statements[keyspace] ?? []).map(CQLStatement.init).filter {
            guard kinds.contains($0.kind) else { return false }
            let isTables = [.table, .alteration, .index].contains($0.kind)
            return !isTables || tables.contains($0.name ?? "")
        }.map { statement in
            let moved = keyspace == name ? statement : statement.moved(from: keyspace, to: name)
            return (keepsIDs ? moved : moved.withoutID).text
        }
    }
}
