// SPDX-License-Identifier: Apache-2.0
import Domain

/// What staging, promoting and rolling back have in common: the journal's state and the nodes it names.
struct RestoreRun: Sendable {
    let adapter: CassandraAdapter
    /// Data directories by node.
    let dataDirectories: [String: [String]]

    init(_ adapter: CassandraAdapter) async throws {
        self.adapter = adapter
        var found: [String: [String]] = [:]
        for node in adapter.nodes { found[node.name] = try await adapter.reader.dataDirectories(of: node) }
        dataDirectories = found
    }

    var coordinator: CassandraNode { adapter.coordinator }

    func node(_ name: String) throws -> CassandraNode {
        guard let node = adapter.nodes.first(where: { $0.name == name }) else {
            throw Failure(
                .restoreFailed, "the plan has no node '\(name)' any more, which the restore began with",
                hint: "Put it back under 'nodes' until the restore is ended.")
        }
        return node
    }

    func loading(_ node: CassandraNode) -> TableLoading {
        TableLoading(node: node, dataDirectories: dataDirectories[node.name] ?? [])
    }

    /// Whether the ring has the keyspace.
    func hasKeyspace(_ name: String) async throws -> Bool {
        try await !coordinator.rows(
            "SELECT JSON keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = \(CQLText.literal(name));"
        ).isEmpty
    }

    /// The folders with an assignment's files of a table.
    func placed(_ assignment: CassandraRestoreState.Assignment, _ table: CassandraRecord.Table) async throws -> [String]
    {
        let root = "\(assignment.folder)/sstables/\(assignment.source)"
        let node = try node(assignment.target)
        guard try await node.files.isDirectory(root) else { return [] }
        return try await node.files.directories(
            [root], depth: 3, path: "*/data*/\(table.keyspace)/\(table.folder)"
        ).sorted()
    }

    /// Loads one captured table into a keyspace, on every node that has files of it.
    func load(_ table: CassandraRecord.Table, into keyspace: String, _ state: CassandraRestoreState) async throws {
        for assignment in state.assignments {
            let node = try node(assignment.target)
            let given = try await loading(node).load(
                try await placed(assignment, table), into: keyspace, table.name, by: state.method,
                staging: assignment.folder, source: assignment.source, hosts: adapter.loaderHosts())
            let expected = Self.crcs(table, assignment.source).count
            guard given == expected else {
                throw Failure(
                    .restoreFailed,
                    "node '\(node.name)' was given \(given) SSTables of \(table.qualified), \(expected) were captured on "
                        + "node \(assignment.source)")
            }
            try adapter.step("loaded \(table.qualified) on \(node.name)")
        }
    }

    /// The CRCs of a table's SSTables as captured on a node.
    static func crcs(_ table: CassandraRecord.Table, _ node: String) -> [UInt32] {
        (table.digests[node] ?? "").split(separator: ",").compactMap { UInt32($0) }
    }

    /// What every target must have of a table, by node.
    static func expected(
        _ table: CassandraRecord.Table, _ state: CassandraRestoreState
    ) -> [String: [UInt32]] {
        var expected: [String: [UInt32]] = [:]
        for assignment in state.assignments {
            expected[assignment.target, default: []] += crcs(table, assignment.source)
        }
        return expected.mapValues { $0.sorted() }
    }

    func truncate(_ keyspace: String, _ table: String) async throws {
        try await coordinator.cqlsh("TRUNCATE \(CQLText.qualified(keyspace, table));")
    }

    /// Runs statements one by one: cqlsh goes on after one that fails.
    func run(_ statements: [String]) async throws {
        for statement in statements { try await coordinator.cqlsh(statement + ";") }
    }

    /// Waits for nothing: a change of the schema is agreed on before cqlsh returns, or it has timed out, which is an error.
    func requireAgreement() async throws { _ = try await adapter.reader.schemaVersion() }

    /// While files are compared, the server must not merge them.
    func setCompaction(_ isOn: Bool, _ keyspaces: [String]) async throws {
        let command = isOn ? "enableautocompaction" : "disableautocompaction"
        try await adapter.onAllNodes { node in
            for keyspace in keyspaces { try await node.nodetool([command, keyspace]) }
        }
    }

    /// Drops the keyspaces that were made beside and their folders, which a server keeps with a last snapshot in them.
    func dropBeside(_ state: CassandraRestoreState) async throws {
        let names = state.keyspaces.map(\.beside).filter { !$0.isEmpty }
        guard !names.isEmpty else { return }
        for name in names where try await hasKeyspace(name) {
            try await coordinator.cqlsh("DROP KEYSPACE \(CQLText.identifier(name));")
        }
        try await adapter.onAllNodes { node in
            let folders = (dataDirectories[node.name] ?? []).flatMap { data in names.map { "\(data)/\($0)" } }
            try await node.files.remove(folders)
        }
    }

    /// Removes what was laid down.
    func removeFolders(_ state: CassandraRestoreState) async throws {
        for assignment in state.assignments { try await node(assignment.target).files.remove([assignment.folder]) }
    }

    func clearSafety(_ state: CassandraRestoreState) async throws {
        let tag = state.safetyTag
        try await adapter.onAllNodes { node in
            try await adapter.clear(tag, on: node, dataDirectories[node.name] ?? [])
        }
    }
}
