// SPDX-License-Identifier: Apache-2.0
import Domain

extension CassandraAdapter {
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var page: CassandraPage
        if let recorded = try await CassandraPage.read(journal) {
            page = recorded
            if page.state.phase == .staged { return }
            guard page.state.phase == .staging else {
                throw Failure(.restoreFailed, "restore \(restore.restoreID) is \(page.state.phase.rawValue) already")
            }
        } else {
            // Before anything of the target is touched.
            let target = try await RestoreTarget.find(self, restore)
            guard target.blockers.isEmpty else {
                throw Failure(
                    .restoreBlocked, "the restore is blocked: \(target.blockers.joined(separator: "; "))",
                    hint: "Nothing was changed.")
            }
            page = CassandraPage(try prepared(target, restore), journal)
            try await page.write { _ in }
        }
        let run = try await RestoreRun(self)
        try await place(restore, run, &page)
        if page.state.keyspaces.contains(where: { !$0.beside.isEmpty }) {
            try await makeBeside(restore, run, &page)
            try await loadBeside(run, &page)
        }
        try await page.write { $0.phase = .staged }
    }

    /// Lays the files of each captured node down beside the node that takes them; a node that was done is not done again.
    private func place(_ restore: SourceRestore, _ run: RestoreRun, _ page: inout CassandraPage) async throws {
        let tables = Set(page.state.tables.map { "\($0.captured.keyspace)/\($0.captured.folder)" })
        let record = try CassandraRecord(restore.contents.restoreData)
        for index in page.state.assignments.indices where !page.state.assignments[index].isPlaced {
            let assignment = page.state.assignments[index]
            guard let source = record.nodes.first(where: { $0.name == assignment.source }) else {
                throw Failure(.integrity, "the bundle's record lacks node '\(assignment.source)'")
            }
            let node = try run.node(assignment.target)
            let root = "\(assignment.folder)/sstables"
            await page.note("laying down the files of node \(assignment.source) beside \(node.name)")
            try await node.files.remove(["\(root)/\(assignment.source)"])
            try await node.files.makeDirectories(["\(root)/\(assignment.source)"])
            let placing = FilePlacing(
                stream: try restore.stream(source.stream), tables: tables, prefix: assignment.source)
            try await node.files.extract(into: root) { sink in try await placing.write(to: sink) }
            try step("placed \(assignment.source)")
            try await page.write { $0.assignments[index].isPlaced = true }
        }
    }

    private func makeBeside(_ restore: SourceRestore, _ run: RestoreRun, _ page: inout CassandraPage) async throws {
        guard !page.state.areBesidesMade else { return }
        let record = try CassandraRecord(restore.contents.restoreData)
        let kinds: Set<CQLStatement.Kind> =
            page.state.isRenamed
            ? [.keyspace, .type, .function, .aggregate, .table, .alteration, .index]
            : [.keyspace, .type, .table, .alteration]
        for keyspace in page.state.keyspaces {
            let tables = Set(
                page.state.tables.filter { $0.captured.keyspace == keyspace.source }.map(\.captured.name))
            if try await run.hasKeyspace(keyspace.beside) {
                // Made by another node's restore into the same name, or half made by this one.
                if page.state.isOneNode { continue }
                try await run.dropBeside(page.state)
            }
            try await run.run(
                record.statements(
                    keyspace.source, as: keyspace.beside, kinds: kinds, tables: tables, keepsIDs: false))
        }
        try await run.requireAgreement()
        try await run.setCompaction(false, page.state.keyspaces.map(\.beside))
        try step("made beside")
        try await page.write { $0.areBesidesMade = true }
    }

    private func loadBeside(_ run: RestoreRun, _ page: inout CassandraPage) async throws {
        for index in page.state.tables.indices where page.state.tables[index].beside != .loaded {
            let table = page.state.tables[index]
            let keyspace = try page.state.keyspace(of: table).beside
            await page.note("loading \(table.captured.qualified) into \(keyspace)")
            // Half a load is begun again from an empty table; another node's rows in it must stay, and the same files
            // twice are the same rows.
            if table.beside == .loading, !page.state.isOneNode { try await run.truncate(keyspace, table.captured.name) }
            try await page.write { $0.tables[index].beside = .loading }
            try await run.load(table.captured, into: keyspace, page.state)
            try await page.write { $0.tables[index].beside = .loaded }
        }
        if page.state.isRenamed, !page.state.isOneNode {
            let present = Set(try await views(run).map { "\($0.0).\($0.1)" })
            try await run.run(
                page.state.views.filter { !present.contains("\($0.keyspace).\($0.name)") }.map(\.statement))
        }
    }

    /// The materialized views that the ring has.
    func views(_ run: RestoreRun) async throws -> [(String, String)] {
        try await run.coordinator.rows("SELECT JSON keyspace_name, view_name FROM system_schema.views;").compactMap {
            guard let keyspace = $0["keyspace_name"]?.string, let name = $0["view_name"]?.string else { return nil }
            return (keyspace, name)
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        guard let page = try await CassandraPage.read(journal), page.state.phase == .staged else {
            throw Failure(.restoreFailed, "restore \(restore.restoreID) is not staged")
        }
        let run = try await RestoreRun(self)
        let state = page.state
        var (recorded, found) = (Facts(), Facts())
        for table in state.tables {
            let captured = table.captured
            let beside = try state.keyspace(of: table).beside
            recorded["\(captured.qualified) sstables"] = .count(Int64(captured.sstables))
            if state.method == .loader {
                // The loader writes new files: what can be said is that it took all, and what the table answers.
                var given = 0
                for assignment in state.assignments {
                    given += try await run.loading(run.node(assignment.target)).digests(
                        in: run.placed(assignment, captured)
                    ).crcs.count
                }
                found["\(captured.qualified) sstables"] = .count(Int64(given))
            } else {
                try await compareFiles(table, beside, state, run, &recorded, &found)
            }
            guard !beside.isEmpty else { continue }
            if let rows = captured.rows {
                recorded["\(captured.qualified) rows"] = .count(rows)
                found["\(captured.qualified) rows"] = .count(
                    try await run.coordinator.count(beside, captured.name))
            } else {
                // Not a count, but the server opens and reads the files.
                _ = try await run.coordinator.rows(
                    "SELECT JSON * FROM \(CQLText.qualified(beside, captured.name)) LIMIT 1;")
            }
        }
        return recorded.compared(with: found)
    }

    private func compareFiles(
        _ table: CassandraRestoreState.Table, _ beside: String, _ state: CassandraRestoreState, _ run: RestoreRun,
        _ recorded: inout Facts, _ found: inout Facts
    ) async throws {
        let captured = table.captured
        var (count, bytes) = (0, UInt64(0))
        recorded["\(captured.qualified) data bytes"] = .count(Int64(captured.dataBytes))
        for (name, expected) in RestoreRun.expected(captured, state).sorted(by: { $0.key < $1.key }) {
            let node = try run.node(name)
            let loading = run.loading(node)
            var digests = LoadedDigests(crcs: [], bytes: 0)
            if beside.isEmpty {
                for assignment in state.assignments where assignment.target == name {
                    let part = try await loading.digests(in: run.placed(assignment, captured))
                    digests.crcs = (digests.crcs + part.crcs).sorted()
                    digests.bytes += part.bytes
                }
            } else {
                digests = try await loading.digests(beside, captured.name)
            }
            count += digests.crcs.count
            bytes += digests.bytes
            recorded["\(captured.qualified) data digests of \(name)"] = .text(Self.list(expected))
            found["\(captured.qualified) data digests of \(name)"] = .text(Self.list(digests.crcs))
        }
        found["\(captured.qualified) sstables"] = .count(Int64(count))
        found["\(captured.qualified) data bytes"] = .count(Int64(bytes))
    }

    private static func list(_ crcs: [UInt32]) -> String {
        CassandraRecord.digest(crcs.map(String.init).joined(separator: ","))
    }
}
