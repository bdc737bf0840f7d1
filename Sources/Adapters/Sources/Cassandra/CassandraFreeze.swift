// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

extension CassandraAdapter {
    func freeze() async throws -> any FrozenSource { try await freezeRing() }

    func freezeRing() async throws -> FrozenCassandra {
        let ring = try await reader.read()
        try requireWhole(ring)
        try await releaseLeftOvers(ring)
        let before = try await RowCounts.counted(self, ring)
        let last = try await lastTables(ring)
        let tag =
            tagPrefix + environment.clock.now().compact.lowercased() + "_\(BundleID.randomSuffix().prefix(4))"
        var frozen = FrozenCassandra(adapter: self, tag: tag, ring: ring, rows: before)
        try await environment.freezeNotes.add(
            FreezeNote(
                id: tag, what: "snapshot '\(tag)' on \(nodes.map(\.name).joined(separator: ", "))",
                data: ["tag": .string(tag)], noted: environment.clock.now()))
        do {
            try step("snapshot")
            frozen.frozen.from = environment.clock.now()
            try await onAllNodes { node in try await snapshot(node, tag, settings.keyspaces.map { $0 }) }
            // JanusGraph's table of id blocks, as the very last: blocks handed out meanwhile must not be handed out again.
            if !last.isEmpty {
                try await onAllNodes { node in
                    try await snapshotTables(node, tag + Self.lastSuffix, last.map { "\($0.0).\($0.1)" })
                }
            }
            frozen.frozen.to = environment.clock.now()
            frozen.lastTables = Set(last.map { "\($0.0).\($0.1)" })
            try step("snapshotted")
            frozen.schema = try await SchemaReader(node: coordinator, release: ring.release).read(settings.keyspaces)
            let after = try await reader.read()
            try requireUnchanged(ring, after)
            frozen.rows = try await stillCounted(before, &frozen.notices)
            return frozen
        } catch {
            let half = frozen
            let failure = await Task { () -> Failure? in
                do {
                    try await half.release()
                    return nil
                } catch { return Failure.wrapping(error) }
            }.value
            let first = Failure.wrapping(error, as: .sourceFailed)
            guard let failure else { throw first }
            throw Failure(first.code, "\(first.summary); and then: \(failure.summary)", hint: failure.hint)
        }
    }

    static let lastSuffix = "_ids"

    private func snapshot(_ node: CassandraNode, _ tag: String, _ keyspaces: [String]) async throws {
        try await snapshot(node, tag, keyspaces.isEmpty ? [] : ["--"] + keyspaces, tag)
    }

    private func snapshotTables(_ node: CassandraNode, _ tag: String, _ tables: [String]) async throws {
        try await snapshot(node, tag, ["-kt", tables.joined(separator: ",")], tag)
    }

    private func snapshot(_ node: CassandraNode, _ tag: String, _ rest: [String], _ expected: String) async throws {
        let text = try await node.nodetool(["snapshot", "-t", tag] + rest)
        guard text.split(whereSeparator: \.isNewline).contains(where: { $0 == "Snapshot directory: \(expected)" })
        else {
            throw Failure(.sourceFailed, "node '\(node.name)': nodetool snapshot does not say that it made '\(tag)'")
        }
    }

    /// A source of scope cluster stands for every node of the ring, or it is no copy of it.
    func requireWhole(_ ring: RingState) throws {
        guard settings.scope == .cluster, let missing = ring.missing.first else { return }
        let more = ring.missing.count > 1 ? " and \(ring.missing.count - 1) more" : ""
        throw Failure(
            .sourceFailed, "node \(missing.address) (host id \(missing.hostID))\(more) of the ring is not in the plan",
            hint: "Add it under 'nodes', or give every node a source of its own with 'scope: node' and one 'group'.")
    }

    private func requireUnchanged(_ before: RingState, _ after: RingState) throws {
        guard before.schemaVersion == after.schemaVersion else {
            throw Failure(
                .sourceChanged,
                "the schema changed while the snapshot was taken (\(before.schemaVersion), then \(after.schemaVersion))",
                hint: "Take the copy at a time when no schema is changed.")
        }
        guard before.nodes == after.nodes, before.peers == after.peers else {
            throw Failure(
                .sourceChanged, "the ring changed while the snapshot was taken",
                hint: "Take the copy when no node joins, leaves or moves.")
        }
    }

    /// Removes what earlier runs noted, and snapshots whose tags begin with this source's prefix.
    func releaseLeftOvers(_ ring: RingState) async throws {
        let notes = try await environment.freezeNotes.all()
        let noted = Set(notes.compactMap { $0.data["tag"]?.string })
        let prefix = tagPrefix
        try await onAllNodes { node in
            let directories = ring.dataDirectories[node.name] ?? []
            let found = try await node.files.directories(directories, depth: 4, path: "*/snapshots/\(prefix)*")
                .compactMap { $0.split(separator: "/").last.map(String.init) }
            for tag in noted.flatMap({ [$0, $0 + Self.lastSuffix] }) + found.sorted() {
                try await clear(tag, on: node, directories)
            }
        }
        for note in notes { try await environment.freezeNotes.erase(note.id) }
    }

    /// Clears a tag on a node and sees that it is gone.
    func clear(_ tag: String, on node: CassandraNode, _ directories: [String]) async throws {
        let pattern = "*/snapshots/\(tag)"
        guard try await !node.files.directories(directories, depth: 4, path: pattern).isEmpty else { return }
        try await node.nodetool(["clearsnapshot", "-t", tag])
        let left = try await node.files.directories(directories, depth: 4, path: pattern)
        guard let first = left.first else { return }
        throw Failure(
            .sourceFailed, "node '\(node.name)': the snapshot '\(tag)' is still there after clearsnapshot: \(first)",
            hint: "Type 'nodetool clearsnapshot -t \(tag)' there and look at the node's log.")
    }

    private func stillCounted(_ before: [String: Int64], _ notices: inout [String]) async throws -> [String: Int64] {
        var same: [String: Int64] = [:]
        for (table, rows) in before.sorted(by: { $0.key < $1.key }) {
            let parts = table.split(separator: ".", maxSplits: 1).map(String.init)
            let now = try await coordinator.count(parts[0], parts[1])
            if now == rows {
                same[table] = rows
            } else {
                notices.append("rows of \(table) are no fact: \(rows) before the snapshot, \(now) after it")
            }
        }
        return same
    }
}

/// Which tables' rows are counted, and how many there are.
enum RowCounts {
    static func counted(_ adapter: CassandraAdapter, _ ring: RingState) async throws -> [String: Int64] {
        guard !adapter.settings.countedTables.isEmpty else { return [:] }
        let all = try await adapter.coordinator.rows(
            "SELECT JSON keyspace_name, table_name FROM system_schema.tables;")
        var counts: [String: Int64] = [:]
        for row in all {
            guard let keyspace = row["keyspace_name"]?.string, let table = row["table_name"]?.string else { continue }
            let isWanted = adapter.settings.countedTables.contains { text in
                let parts = text.split(separator: ".").map(String.init)
                return (parts[0] == "*" ? !CassandraRecord.isSystem(keyspace) : parts[0] == keyspace)
                    && (parts[1] == "*" || parts[1] == table)
            }
            if isWanted { counts["\(keyspace).\(table)"] = try await adapter.coordinator.count(keyspace, table) }
        }
        return counts
    }
}
