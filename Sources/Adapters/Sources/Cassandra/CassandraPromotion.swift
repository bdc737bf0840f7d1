// SPDX-License-Identifier: Apache-2.0
import Domain

extension CassandraAdapter {
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        guard var page = try await CassandraPage.read(journal) else {
            throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
        }
        switch page.state.phase {
        case .promoted: return
        case .staged, .promoting: break
        default:
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is \(page.state.phase.rawValue)")
        }
        let run = try await RestoreRun(self)
        if page.state.isRenamed {
            try await page.write { $0.phase = .promoting }
            try await run.setCompaction(true, page.state.keyspaces.map(\.beside))
            try await run.removeFolders(page.state)
            try await printChecklist(restore, page)
            return try await page.write { $0.phase = .promoted }
        }
        // A ring with a node down takes no TRUNCATE, and would be left half restored.
        try await reader.requireAllUp()
        try await run.requireAgreement()
        try await keepOldState(run, &page)
        try await makeMissing(run, &page)
        let keyspaces = page.state.keyspaces.map(\.live)
        try await run.setCompaction(false, keyspaces)
        try await dropViews(run, page.state)
        for index in page.state.tables.indices where page.state.tables[index].live != .loaded {
            try await replace(index, run, &page)
        }
        try await run.run(page.state.views.map(\.statement))
        try await run.setCompaction(true, keyspaces)
        try await run.dropBeside(page.state)
        try await run.removeFolders(page.state)
        try await printChecklist(restore, page)
        try await page.write { $0.phase = .promoted }
        await page.note("if the ring has replicas, run 'nodetool repair' on each restored keyspace now")
    }

    /// A snapshot of the live keyspaces on every node: what a roll-back is made of.
    private func keepOldState(_ run: RestoreRun, _ page: inout CassandraPage) async throws {
        guard !page.state.isSafe else { return }
        try await page.write { $0.phase = .promoting }
        // Nothing is emptied yet, so half a snapshot of an earlier attempt is worth nothing.
        try await run.clearSafety(page.state)
        let tag = page.state.safetyTag
        let keyspaces = page.state.keyspaces.filter { !$0.makesLive }.map(\.live)
        if !keyspaces.isEmpty {
            await page.note("keeping the old state as snapshot '\(tag)' on every node")
            try await onAllNodes { node in try await node.nodetool(["snapshot", "-t", tag, "--"] + keyspaces) }
        }
        try step("safe")
        try await page.write { $0.isSafe = true }
    }

    private func makeMissing(_ run: RestoreRun, _ page: inout CassandraPage) async throws {
        guard !page.state.isLiveMade else { return }
        if !page.state.liveStatements.isEmpty {
            try await dropMade(run, page.state)
            try await run.run(page.state.liveStatements)
            try await run.requireAgreement()
        }
        try await page.write { $0.isLiveMade = true }
    }

    /// Drops what this restore makes, and only that.
    func dropMade(_ run: RestoreRun, _ state: CassandraRestoreState) async throws {
        for keyspace in state.keyspaces where keyspace.makesLive {
            try await run.coordinator.cqlsh("DROP KEYSPACE IF EXISTS \(CQLText.identifier(keyspace.live));")
        }
        for table in state.tables where table.makesLive {
            let keyspace = try state.keyspace(of: table)
            guard !keyspace.makesLive else { continue }
            try await run.coordinator.cqlsh(
                "DROP TABLE IF EXISTS \(CQLText.qualified(keyspace.live, table.captured.name));")
        }
    }

    /// Views are filled by writes, which a load of files is not: they are made anew from their tables.
    func dropViews(_ run: RestoreRun, _ state: CassandraRestoreState) async throws {
        for view in state.views {
            try await run.coordinator.cqlsh(
                "DROP MATERIALIZED VIEW IF EXISTS \(CQLText.qualified(view.keyspace, view.name));")
        }
    }

    /// Empties one live table and loads it. Rows that are restored have their old times and would lose against newer ones.
    private func replace(_ index: Int, _ run: RestoreRun, _ page: inout CassandraPage) async throws {
        let table = page.state.tables[index]
        let keyspace = try page.state.keyspace(of: table).live
        await page.note("replacing \(keyspace).\(table.captured.name)")
        try await page.write { $0.tables[index].live = .loading }
        try await run.truncate(keyspace, table.captured.name)
        try step("truncated \(table.captured.qualified)")
        try await run.load(table.captured, into: keyspace, page.state)
        if page.state.method != .loader {
            for (name, expected) in RestoreRun.expected(table.captured, page.state) {
                let found = try await run.loading(run.node(name)).digests(keyspace, table.captured.name)
                guard found.contain(expected) else {
                    throw Failure(
                        .restoreFailed,
                        "node '\(name)' has not taken every SSTable of \(keyspace).\(table.captured.name)",
                        hint: "Look at the node's log.")
                }
            }
        }
        try await page.write { $0.tables[index].live = .loaded }
    }

    // MARK: Back

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard var page = try await CassandraPage.read(journal) else { return }
        switch page.state.phase {
        case .settled:
            throw Failure(.restoreFailed, "the old data of '\(environment.source.name)' is gone: it was settled")
        case .rolledBack, .abandoned: return
        case .staging, .staged: return try await abandon(place, journal: journal)
        case .promoting, .promoted, .rollingBack: break
        }
        let run = try await RestoreRun(self)
        if !page.state.isRenamed { try await putBack(run, &page) }
        try await run.clearSafety(page.state)
        try await dropOwnCopies(run, page)
        try await run.removeFolders(page.state)
        try await page.write { $0.phase = .rolledBack }
    }

    private func putBack(_ run: RestoreRun, _ page: inout CassandraPage) async throws {
        let keyspaces = page.state.keyspaces.filter { !$0.makesLive }.map(\.live)
        if page.state.isSafe {
            try await page.write { $0.phase = .rollingBack }
            try await dropMade(run, page.state)
            try await dropViews(run, page.state)
            for index in page.state.tables.indices
            where page.state.tables[index].live != .waiting && !page.state.tables[index].makesLive
                && page.state.tables[index].back != .loaded
            {
                try await putBack(index, run, &page)
            }
            // Of tables that the restore made, no view was there before.
            try await run.run(page.state.views.filter(\.wasLive).map(\.statement))
        }
        try await run.setCompaction(true, keyspaces)
    }

    private func putBack(_ index: Int, _ run: RestoreRun, _ page: inout CassandraPage) async throws {
        let table = page.state.tables[index]
        let keyspace = try page.state.keyspace(of: table).live
        await page.note("putting back \(keyspace).\(table.captured.name)")
        try await page.write { $0.tables[index].back = .loading }
        try await run.truncate(keyspace, table.captured.name)
        let state = page.state
        for node in nodes {
            let loading = run.loading(node)
            // The snapshot's folder is the one of the live id, whatever the bundle's was.
            let kept = try await loading.liveFolders(keyspace, table.captured.name).map {
                "\($0)/snapshots/\(state.safetyTag)"
            }
            var folders: [String] = []
            for folder in kept where try await node.files.isDirectory(folder) { folders.append(folder) }
            guard !folders.isEmpty else {
                throw Failure(
                    .restoreFailed,
                    "node '\(node.name)' has lost the snapshot '\(state.safetyTag)' of \(keyspace).\(table.captured.name)",
                    hint: "TRUNCATE has left a snapshot 'truncated-…' of the table as well: load that by hand.")
            }
            let place = "\(run.backFolder(node, state))"
            try await loading.load(
                folders, into: keyspace, table.captured.name, by: state.ownMethod, staging: place, source: node.name,
                hosts: [])
            try await node.files.remove([place])
            try step("put back \(table.captured.qualified) on \(node.name)")
        }
        try await page.write { $0.tables[index].back = .loaded }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard var page = try await CassandraPage.read(journal) else { return }
        guard [.staging, .staged].contains(page.state.phase) else {
            if [.abandoned, .rolledBack].contains(page.state.phase) { return }
            throw Failure(
                .restoreFailed, "restore \(place.restoreID) is \(page.state.phase.rawValue): roll it back instead")
        }
        let run = try await RestoreRun(self)
        try await dropOwnCopies(run, page)
        try await run.removeFolders(page.state)
        try await page.write { $0.phase = .abandoned }
    }

    /// Drops the keyspaces beside, unless other nodes' restores have put theirs into them, too.
    private func dropOwnCopies(_ run: RestoreRun, _ page: CassandraPage) async throws {
        guard page.state.isOneNode else { return try await run.dropBeside(page.state) }
        let names = page.state.keyspaces.map(\.beside).joined(separator: ", ")
        await page.note(
            "keyspace \(names) was not dropped, since other nodes may have restored into it: "
                + "type 'DROP KEYSPACE \(names);' in cqlsh when none has")
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard var page = try await CassandraPage.read(journal) else { return }
        guard [.promoted, .settled].contains(page.state.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is not promoted")
        }
        let run = try await RestoreRun(self)
        try await run.clearSafety(page.state)
        try await run.removeFolders(page.state)
        try await page.write { $0.phase = .settled }
    }
}

extension RestoreRun {
    /// A folder for the way back, beside the node's data.
    func backFolder(_ node: CassandraNode, _ state: CassandraRestoreState) -> String {
        let root = state.assignments.first?.folder.split(separator: "/").dropLast().joined(separator: "/") ?? "tmp"
        return "/\(root)/\(state.safetyTag)-\(node.name)"
    }
}
