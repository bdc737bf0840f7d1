// SPDX-License-Identifier: Apache-2.0
import Domain

extension CassandraAdapter {
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let origin = restore.contents.engine
        let target: RestoreTarget
        do { target = try await RestoreTarget.find(self, restore) } catch let failure as Failure {
            return SourceRestorePlan(
                target: "the ring of \(coordinator.node.host ?? coordinator.name)", origin: origin,
                blockers: [failure.summary])
        }
        var plan = SourceRestorePlan(
            target: "\(target.ring.release), cluster '\(target.ring.cluster)', "
                + target.ring.nodes.map { "\($0.name) \($0.hostID)" }.joined(separator: ", "),
            origin: "\(origin), cluster '\(target.record.cluster)', tag \(target.record.tag)",
            blockers: target.blockers, warnings: target.warnings)
        let state = try prepared(target, restore)
        plan.steps = steps(state, target)
        plan.replaces =
            state.isRenamed
            ? []
            : state.tables.compactMap { table in
                target.live(table.captured.keyspace, table.captured.name).map { _ in
                    "table \(table.captured.qualified) on \(target.ring.nodes.count) nodes"
                }
            }
        plan.creates = state.keyspaces.map { "keyspace \($0.beside)" }.filter { $0 != "keyspace " }
        let bytes = state.tables.reduce(UInt64(0)) { $0 + $1.captured.dataBytes }
        plan.bytesNeeded = bytes
        for assignment in state.assignments {
            guard let node = nodes.first(where: { $0.name == assignment.target }),
                let data = target.ring.dataDirectories[node.name]?.first
            else { continue }
            let free = try await node.files.freeBytes(data)
            let needed = bytes / UInt64(max(1, Set(state.assignments.map(\.target)).count))
            if let free {
                plan.bytesFree = min(plan.bytesFree ?? free, free)
                if free < needed {
                    plan.blockers.append("node '\(node.name)' has \(free) bytes free and needs \(needed)")
                }
            }
        }
        if !state.isRenamed {
            plan.warnings.append(
                "no table or keyspace can be exchanged at once: each table is emptied on all nodes and loaded again, "
                    + "and clients must be stopped meanwhile; what they write before the end of it is lost")
        }
        if let graphs = target.record.graphs { plan.warnings += graphs.warnings(state) }
        return plan
    }

    private func steps(_ state: CassandraRestoreState, _ target: RestoreTarget) -> [SourceRestorePlan.Step] {
        var steps: [SourceRestorePlan.Step] = state.assignments.map {
            .init(
                "stage", "lay node \($0.source)'s files down beside node \($0.target)",
                command: "tar -x -C \($0.folder)")
        }
        let first = state.tables.first?.captured
        for keyspace in state.keyspaces where !keyspace.beside.isEmpty {
            steps.append(
                .init(
                    "stage", "make the keyspace beside",
                    command: "CREATE KEYSPACE \(CQLText.identifier(keyspace.beside))"))
            if let first {
                steps.append(
                    .init(
                        "stage", "load each of its tables on each node",
                        command: command(state.method, keyspace.beside, first.name)))
            }
        }
        steps.append(
            .init("verify", "compare the digests of every SSTable that the nodes have taken with the bundle's"))
        if state.isRenamed {
            steps.append(.init("promote", "nothing: the new keyspace is there already"))
            return steps
        }
        steps.append(
            .init("promote", "keep the old state on every node", command: "nodetool snapshot -t \(state.safetyTag)"))
        if let first {
            steps.append(
                .init(
                    "promote", "empty each live table and load it on each node",
                    command: "TRUNCATE \(CQLText.qualified(first.keyspace, first.name)); "
                        + command(state.method, first.keyspace, first.name)))
        }
        for view in state.views {
            steps.append(
                .init("promote", "build view \(view.keyspace).\(view.name) anew", command: "CREATE MATERIALIZED VIEW"))
        }
        return steps
    }

    private func command(_ method: CassandraRestoreState.Method, _ keyspace: String, _ table: String) -> String {
        switch method {
        case .import: "nodetool import \(keyspace) \(table) FOLDER"
        case .refresh: "nodetool refresh \(keyspace) \(table)"
        case .loader: "sstableloader -d \(loaderHosts().joined(separator: ",")) FOLDER/\(keyspace)/\(table)"
        }
    }

    /// Where sstableloader begins.
    func loaderHosts() -> [String] {
        settings.loaderHosts.isEmpty ? nodes.map { $0.node.host ?? "127.0.0.1" } : settings.loaderHosts
    }

    /// The journal's first page.
    func prepared(_ target: RestoreTarget, _ restore: SourceRestore) throws -> CassandraRestoreState {
        let record = target.record
        let isRenamed = restore.rename != nil
        let keyspaces = target.choice.keyspaces.enumerated().map { index, name in
            let beside =
                restore.rename
                ?? (settings.staging == .files ? "" : RestoreChoice.beside(name, index, restore.restoreID))
            return CassandraRestoreState.Keyspace(
                source: name, live: restore.rename ?? name, beside: beside,
                makesLive: !isRenamed && !target.liveKeyspaces.contains(name))
        }
        var state = CassandraRestoreState(
            method: target.method, ownMethod: target.ownMethod, isRenamed: isRenamed,
            isOneNode: record.scope == .node && !record.peers.isEmpty, keyspaces: keyspaces,
            tables: target.choice.tables.map {
                CassandraRestoreState.Table(
                    captured: $0, makesLive: !isRenamed && target.live($0.keyspace, $0.name) == nil)
            }, assignments: target.assignments, safetyTag: "salvor_keep_\(restore.restoreID)")
        state.views = target.choice.views.compactMap { view in
            guard let statement = record.statement(.view, view.keyspace, view.name) else { return nil }
            let name = restore.rename ?? view.keyspace
            return CassandraRestoreState.View(
                keyspace: name, name: view.name,
                statement: (isRenamed ? statement.moved(from: view.keyspace, to: name) : statement).withoutID.text,
                wasLive: target.live(view.keyspace, view.name) != nil)
        }
        if !isRenamed { state.liveStatements = missingStatements(state, target) }
        return state
    }

    /// What makes the keyspaces and tables that the target lacks; with the captured ids, so that nothing else can be taken
    /// for them.
    private func missingStatements(_ state: CassandraRestoreState, _ target: RestoreTarget) -> [String] {
        state.keyspaces.flatMap { keyspace in
            let missing = Set(
                state.tables.filter { $0.makesLive && $0.captured.keyspace == keyspace.source }.map(\.captured.name))
            guard !missing.isEmpty else { return [String]() }
            let kinds: Set<CQLStatement.Kind> =
                keyspace.makesLive
                ? [.keyspace, .type, .function, .aggregate, .table, .alteration, .index]
                : [.table, .alteration, .index]
            return target.record.statements(
                keyspace.source, as: keyspace.live, kinds: kinds, tables: missing, keepsIDs: true)
        }
    }
}
