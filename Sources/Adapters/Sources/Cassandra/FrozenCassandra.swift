// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// One tag on every node.
struct FrozenCassandra: FrozenSource {
    let adapter: CassandraAdapter
    let tag: String
    let ring: RingState
    /// Rows by `keyspace.table` that stood still.
    var rows: [String: Int64]
    var frozen = (from: Timestamp(seconds: 0), to: Timestamp(seconds: 0))
    var schema: CapturedSchema?
    /// Tables of which the second tag counts.
    var lastTables: Set<String> = []
    var notices: [String] = []

    var position: String? { tag }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        guard let schema else { throw Failure(.internalError, "the ring was not frozen") }
        let snapshots = try await snapshots(schema)
        var record = try await record(schema, snapshots)
        try await stream(snapshots, into: sink)
        try await raw(schema.text, Adapter.schema, "schema.cql", sink)
        try await raw(topology(record), Adapter.topology, "topology.json", sink)
        var notices = notices + snapshots.values.flatMap(\.notices).sorted()
        if adapter.settings.product == .cassandra, let layout = snapshots.values.compactMap(\.foreignLayout).first {
            notices.append(
                "SSTables of format \(layout) are none of Apache Cassandra: set 'product: hcd' if that is it")
        }
        if adapter.settings.scope == .node {
            notices.append(
                "one node of the ring '\(adapter.settings.group ?? "")': \(ring.peers.count) others have bundles of their own"
            )
        }
        if adapter.graph != nil {
            record.graphs = try await adapter.graphRecord(record, &notices)
        }
        let facts = CassandraRecord.facts(
            of: record.tables.filter { !CassandraRecord.isSystem($0.keyspace) },
            nodes: record.nodes.map(\.name))
        return CaptureReport(
            engine: ring.release.description, facts: facts, restoreData: try record.value, notices: notices,
            position: position)
    }

    func release() async throws {
        let tags = [tag + CassandraAdapter.lastSuffix, tag]
        // A task of its own: a run that was cancelled clears its snapshots, too.
        try await Task {
            try await adapter.onAllNodes { node in
                for tag in tags { try await adapter.clear(tag, on: node, ring.dataDirectories[node.name] ?? []) }
            }
            try await adapter.environment.freezeNotes.erase(tag)
        }.value
    }

    private typealias Adapter = CassandraAdapter.Stream

    private func snapshots(_ schema: CapturedSchema) async throws -> [String: NodeSnapshot] {
        let required = schema.tables.filter { !["system", "system_schema"].contains($0.keyspace) }
        let last = Set(
            schema.tables.filter { lastTables.contains($0.qualified) }.map { "\($0.keyspace)/\($0.folder)" })
        let box = Mutex<[String: NodeSnapshot]>([:])
        try await adapter.onAllNodes { node in
            let directories = ring.dataDirectories[node.name] ?? []
            var snapshot = try await NodeSnapshot.read(
                node, directories: directories, tag: tag,
                isWanted: { !last.contains("\($0)/\($1)") && !CassandraRecord.isStaged($0) },
                required: required.filter { !lastTables.contains($0.qualified) })
            if !last.isEmpty {
                snapshot.add(
                    try await NodeSnapshot.read(
                        node, directories: directories, tag: tag + CassandraAdapter.lastSuffix,
                        isWanted: { last.contains("\($0)/\($1)") },
                        required: required.filter { lastTables.contains($0.qualified) }))
            }
            let found = snapshot
            box.withLock { $0[node.name] = found }
        }
        return box.withLock { $0 }
    }

    private func stream(_ snapshots: [String: NodeSnapshot], into sink: any CaptureSink) async throws {
        try await adapter.onAllNodes(stopsAtFirst: true) { node in
            guard let snapshot = snapshots[node.name] else { return }
            let configuration =
                node.node.configuration.isEmpty ? [] : try await node.files.regularFiles(node.node.configuration)
            let capture = NodeCapture(node: node, snapshot: snapshot, configuration: configuration)
            _ = try await sink.tree("node-\(node.name)", estimatedBytes: capture.totalBytes) { output, base in
                try await capture.run(into: output, base: base)
            }
        }
    }

    private func raw(_ text: String, _ name: String, _ file: String, _ sink: any CaptureSink) async throws {
        let bytes = Array(text.utf8)
        _ = try await sink.raw(name, fileName: file, estimatedBytes: UInt64(bytes.count)) { output in
            try await Blocking.run { try output.write(bytes) }
            return StreamEnd(length: UInt64(bytes.count))
        }
    }

    /// Statements of tables from the snapshot itself, where the release prints no internals in its schema.
    private func record(
        _ schema: CapturedSchema, _ snapshots: [String: NodeSnapshot]
    ) async throws -> CassandraRecord {
        var tables = schema.tables
        for index in tables.indices {
            let table = tables[index]
            for (node, snapshot) in snapshots {
                let found = snapshot.digests(keyspace: table.keyspace, folder: table.folder)
                tables[index].digests[node] = found.list
                tables[index].sstables += found.count
                tables[index].dataBytes += found.bytes
            }
            tables[index].rows = rows[table.qualified]
        }
        var statements = schema.statements
        if !ring.release.isFour, let snapshot = snapshots[adapter.coordinator.name] {
            try await takeInternals(snapshot, schema, &statements)
        }
        return CassandraRecord(
            product: adapter.settings.product, release: ring.release.text, cluster: ring.cluster,
            partitioner: ring.partitioner, tag: tag, schemaVersion: ring.schemaVersion, scope: adapter.settings.scope,
            group: adapter.settings.group, nodes: ring.nodes, peers: ring.peers, tables: tables,
            statements: statements.mapValues { $0.map(\.text) },
            layouts: Set(snapshots.values.flatMap { $0.sstables.map(\.name.layout) }).sorted())
    }

    private func takeInternals(
        _ snapshot: NodeSnapshot, _ schema: CapturedSchema, _ statements: inout [String: [CQLStatement]]
    ) async throws {
        let folders = Dictionary(schema.tables.filter { !$0.isView }.map { ("\($0.keyspace)/\($0.folder)", $0) }) {
            first, _ in first
        }
        let files = snapshot.files.filter { $0.relative == "schema.cql" }
        let contents = try await adapter.coordinator.files.contents(files.map(\.entry.path))
        for file in files {
            guard let table = folders["\(file.keyspace)/\(file.folder)"],
                let text = contents[file.entry.path].map({ String(decoding: $0, as: UTF8.self) })
            else { continue }
            let own = CQLText.statements(text).filter { [.table, .alteration].contains($0.kind) }
            guard own.contains(where: { $0.kind == .table && $0.name == table.name }) else { continue }
            var all = statements[table.keyspace] ?? []
            let place = all.firstIndex { $0.kind == .table && $0.name == table.name } ?? all.endIndex
            all.removeAll { [.table, .alteration].contains($0.kind) && $0.name == table.name }
            all.insert(contentsOf: own, at: min(place, all.endIndex))
            statements[table.keyspace] = all
        }
    }

    private func topology(_ record: CassandraRecord) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        struct Topology: Encodable {
            var cluster: String
            var partitioner: String
            var release: String
            var schemaVersion: String
            var tag: String
            var nodes: [CassandraRecord.Node]
            var peers: [CassandraRecord.Peer]
        }
        let topology = Topology(
            cluster: record.cluster, partitioner: record.partitioner, release: record.release,
            schemaVersion: record.schemaVersion, tag: record.tag, nodes: record.nodes, peers: record.peers)
        return String(decoding: try encoder.encode(topology), as: UTF8.self) + "\n"
    }
}

extension CassandraRecord {
    init(
        product: CassandraRelease.Product, release: String, cluster: String, partitioner: String, tag: String,
        schemaVersion: String, scope: CassandraSettings.Scope, group: String?, nodes: [Node], peers: [Peer],
        tables: [Table], statements: [String: [String]], layouts: [String]
    ) {
        self.product = product
        self.release = release
        self.cluster = cluster
        self.partitioner = partitioner
        self.tag = tag
        self.schemaVersion = schemaVersion
        self.scope = scope
        self.group = group
        self.nodes = nodes
        self.peers = peers
        self.tables = tables
        self.statements = statements
        self.layouts = layouts
    }
}
