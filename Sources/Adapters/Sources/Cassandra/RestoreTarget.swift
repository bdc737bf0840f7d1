// SPDX-License-Identifier: Apache-2.0
import Domain

/// The ring that a bundle is restored to, and what stands in the way. Only reads.
struct RestoreTarget: Sendable {
    var ring: RingState
    var record: CassandraRecord
    var choice: RestoreChoice
    var assignments: [CassandraRestoreState.Assignment]
    var method: CassandraRestoreState.Method
    var ownMethod: CassandraRestoreState.Method
    /// Keyspaces and tables as the ring has them now.
    var liveKeyspaces: Set<String>
    var liveTables: [CassandraRecord.Table]
    var liveStatements: [CQLStatement]
    var rename: String?
    var blockers: [String] = []
    var warnings: [String] = []

    func live(_ keyspace: String, _ table: String) -> CassandraRecord.Table? {
        liveTables.first { $0.keyspace == keyspace && $0.name == table }
    }

    static func find(_ adapter: CassandraAdapter, _ restore: SourceRestore) async throws -> RestoreTarget {
        let record = try CassandraRecord(restore.contents.restoreData)
        let choice = try RestoreChoice(record, include: restore.include)
        let ring = try await adapter.reader.read()
        let own: CassandraRestoreState.Method = ring.release.isFour ? .import : .refresh
        let schema = try await SchemaReader(node: adapter.coordinator, release: ring.release).read([])
        var target = RestoreTarget(
            ring: ring, record: record, choice: choice, assignments: [], method: own, ownMethod: own,
            liveKeyspaces: Set(schema.keyspaces), liveTables: schema.tables,
            liveStatements: schema.statements.values.flatMap { $0 }, rename: restore.rename)
        target.assign(adapter, restore)
        target.judge(adapter)
        return target
    }

    /// Which node takes whose files. Files are of use only to a node that owns their tokens.
    private mutating func assign(_ adapter: CassandraAdapter, _ restore: SourceRestore) {
        func folder(_ node: String) -> String {
            let own = adapter.nodes.first { $0.name == node }
            let data = ring.dataDirectories[node]?.first ?? "/"
            let parent = data.split(separator: "/").dropLast().joined(separator: "/")
            let root = own?.settings.restoreDirectory ?? "/\(parent.isEmpty ? "" : parent + "/")salvor_restore"
            return "\(root)/\(restore.restoreID)-\(node)"
        }
        let isAlone = ring.nodes.count == 1 && ring.peers.isEmpty
        let pairs = record.nodes.map { source in
            let equal = ring.nodes.first {
                $0.tokens == source.tokens && $0.dataCenter == source.dataCenter && $0.rack == source.rack
            }
            return (source.name, isAlone ? ring.nodes[0].name : equal?.name)
        }
        let isSameShape =
            pairs.allSatisfy { $0.1 != nil }
            && (isAlone || (record.nodes.count == ring.nodes.count && Set(pairs.compactMap(\.1)).count == pairs.count))
        method = isSameShape ? ownMethod : .loader
        let coordinator = ring.nodes[0].name
        assignments = pairs.map {
            let node = isSameShape ? $0.1 ?? coordinator : coordinator
            return CassandraRestoreState.Assignment(source: $0.0, target: node, folder: folder(node))
        }
    }

    private mutating func judge(_ adapter: CassandraAdapter) {
        do { try adapter.requireWhole(ring) } catch let failure as Failure { blockers.append(failure.summary) } catch {
            blockers.append("\(error)")
        }
        if let origin = record.origin {
            if let refusal = ring.release.refusal(of: origin, layouts: record.layouts) { blockers.append(refusal) }
            if origin.major < ring.release.major {
                warnings.append("run 'nodetool upgradesstables' afterwards: the files are of \(origin.text)")
            }
        } else {
            blockers.append("the bundle's release '\(record.release)' is not understood")
        }
        if record.partitioner != ring.partitioner {
            blockers.append("the bundle's partitioner is \(record.partitioner), the target's \(ring.partitioner)")
        }
        if record.cluster != ring.cluster {
            warnings.append("the bundle is of cluster '\(record.cluster)', the target is '\(ring.cluster)'")
        }
        if record.scope == .node, !record.peers.isEmpty {
            warnings.append(
                "the bundle holds one node of the ring '\(record.group ?? "")': the other \(record.peers.count) nodes' bundles are needed as well"
            )
            if rename == nil {
                blockers.append(
                    "one node's bundle cannot replace live tables, since TRUNCATE empties them on all nodes; "
                        + "restore every node's bundle under one new name (--rename), one after the other")
            }
        }
        if method == .loader {
            warnings.append(
                "the target's tokens, data centres or racks differ: rows are streamed by sstableloader, and each replica's copy arrives until compaction"
            )
        }
        for keyspace in choice.keyspaces where ["system", "system_schema"].contains(keyspace) {
            blockers.append("'\(keyspace)' can only be put back by hand, on stopped nodes (docs/sources/cassandra.md)")
        }
        judgeNames()
        judgeTables()
    }

    private mutating func judgeNames() {
        guard let rename else { return }
        if choice.keyspaces.count != 1 {
            blockers.append("a new name is for one keyspace, and \(choice.keyspaces.count) are chosen: use --include")
        }
        let isName =
            rename.utf8.count <= 48 && !rename.isEmpty
            && rename.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95
            }
        if !isName { blockers.append("'\(rename)' cannot name a keyspace: up to 48 letters, digits and '_'") }
        if liveKeyspaces.contains(rename), record.scope != .node {
            blockers.append("there is a keyspace '\(rename)' already")
        }
    }

    private mutating func judgeTables() {
        for table in choice.tables {
            if record.statement(.table, table.keyspace, table.name) == nil {
                blockers.append("the bundle's schema cannot make table \(table.qualified) (no CREATE TABLE of it)")
            }
            guard let live = live(rename ?? table.keyspace, table.name) else { continue }
            if live.columns != table.columns {
                let odd = Set(live.columns).symmetricDifference(table.columns).sorted().prefix(3)
                blockers.append(
                    "the live table \(table.qualified) has other columns than the bundle's: \(odd.joined(separator: ", "))"
                )
            }
        }
        for keyspace in choice.keyspaces {
            let statements = (record.statements[keyspace] ?? []).map(CQLStatement.init)
            if statements.contains(where: { $0.kind == .type }) {
                warnings.append(
                    "'\(keyspace)' has user-defined types: their files may not load under another keyspace name; "
                        + "'restore.stage: files' goes without")
            }
            if statements.contains(where: { $0.kind == .trigger }) {
                warnings.append("triggers of '\(keyspace)' are not made again")
            }
        }
    }
}
