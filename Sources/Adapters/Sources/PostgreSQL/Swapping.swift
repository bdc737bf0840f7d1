// SPDX-License-Identifier: Apache-2.0
import Domain

/// Puts staged databases in the live ones' place, and back. What has been done is asked of the catalog every time, by
/// object id, so that any step may be repeated after a crash.
struct Swapping: Sendable {
    let server: Server
    let journal: any RestoreJournal
    var state: RestoreState

    /// All databases of the restore, one after another; a failure puts back those that were swapped.
    mutating func promote(_ cluster: ClusterRecord) async throws {
        for (index, item) in state.items.enumerated() {
            guard [.staged, .promoting, .promoted, .rolledBack].contains(item.stage) else {
                throw Failure(
                    .restoreBlocked, "the database '\(item.source)' cannot be promoted: it is \(item.stage.rawValue)",
                    hint: "Stage and verify the restore first.")
            }
            do { try await promote(index, cluster) } catch {
                // Also when this task was cancelled: the doors of the live database must not stay shut.
                let broken = self
                self = await Task {
                    var repair = broken
                    await repair.putBack(through: index)
                    return repair
                }.value
                throw error
            }
        }
    }

    private mutating func putBack(through last: Int) async {
        await journal.note("promotion failed, putting the old databases back")
        for index in state.items[...last].indices.reversed() {
            do { try await rollBack(index) } catch {
                await journal.note(
                    "unable to put '\(state.items[index].live)' back now: \(Failure.wrapping(error).summary); "
                        + "roll the restore back once the server answers")
            }
        }
    }

    /// Puts all old databases back, the last one first.
    mutating func rollBack() async throws {
        for index in state.items.indices.reversed() { try await rollBack(index) }
    }

    // MARK: - Promote one

    private mutating func promote(_ index: Int, _ cluster: ClusterRecord) async throws {
        let item = state.items[index]
        let server = server.away(from: item.names)
        let list = try await DatabaseList.read(server)
        guard let staged = list.with(id: item.stagedID) else {
            throw Failure(
                .restoreFailed, "the staged database '\(item.staged)' is gone", hint: "Stage the restore again.")
        }
        guard let record = cluster.databases.first(where: { $0.name == item.source }) else {
            throw Failure(.integrity, "the bundle does not know the database '\(item.source)'")
        }
        if staged.name == item.live {
            // Swapped before a crash: the transaction that did it also let connections in.
            state.items[index].stage = .promoted
            return try await state.save(journal)
        }
        let live = list.named(item.live)
        guard list.named(item.before) == nil else {
            throw Failure(
                .targetExists, "there is a database '\(item.before)' already", hint: "Rename or drop it first.")
        }
        state.items[index].liveID = live?.oid
        state.items[index].stage = .promoting
        try await state.save(journal)
        await journal.note("promoting '\(staged.name)' to '\(item.live)'")
        try await applyProperties(record, to: staged.name, server)
        for entry in [live, staged].compactMap({ $0 }) { try await shut(entry, server) }
        var script = ["BEGIN;"]
        if live != nil { script.append(DatabaseStatements.rename(item.live, to: item.before)) }
        script += [
            DatabaseStatements.rename(staged.name, to: item.live), DatabaseStatements.allowConnections(item.live, true),
            "COMMIT;",
        ]
        try await server.execute(script.joined(separator: "\n"))
        state.items[index].stage = .promoted
        try await state.save(journal)
    }

    private func applyProperties(_ record: DatabaseRecord, to name: String, _ server: Server) async throws {
        try await server.execute(DatabaseStatements.properties(name, like: record))
        for statement in DatabaseStatements.settings(name, like: record) {
            do { try await server.execute(statement) } catch let error as Failure
                where error.summary.contains("unrecognized configuration parameter")
            {
                await journal.note("a setting that this server does not know was left out: \(statement)")
            }
        }
    }

    /// Keeps clients out of a database and ends their sessions. In this order, or they would come back in between.
    private func shut(_ entry: DatabaseList.Entry, _ server: Server) async throws {
        try await server.execute(DatabaseStatements.allowConnections(entry.name, false))
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            try await server.execute(DatabaseStatements.terminate(id: entry.oid))
            let sessions = try await DatabaseList.read(server).with(id: entry.oid)?.sessions ?? 0
            if sessions == 0 { return }
            guard ContinuousClock.now < deadline else {
                throw Failure(
                    .restoreFailed, "\(sessions) sessions of database '\(entry.name)' do not end",
                    hint: "Look at pg_stat_activity and end them by hand, then promote again.")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: - Roll back one

    private mutating func rollBack(_ index: Int) async throws {
        let item = state.items[index]
        guard [.promoting, .promoted, .settled].contains(item.stage) else { return }
        let server = server.away(from: item.names)
        let list = try await DatabaseList.read(server)
        let copy = list.with(id: item.stagedID)
        let old = list.with(id: item.liveID)
        if let copy, copy.name == item.live {
            if item.liveID != nil, old?.name != item.before {
                throw Failure(
                    .restoreFailed, "the old database '\(item.before)' is gone",
                    hint: "The restore was settled; restore an earlier bundle instead.")
            }
            await journal.note("putting the old '\(item.live)' back")
            try await shut(copy, server)
            var script = ["BEGIN;", DatabaseStatements.rename(item.live, to: item.staged)]
            if old != nil {
                script += [
                    DatabaseStatements.rename(item.before, to: item.live),
                    DatabaseStatements.allowConnections(item.live, true),
                ]
            }
            // The copy may hold what was written since the promotion: it is kept, and can be looked at.
            script += [DatabaseStatements.allowConnections(item.staged, true), "COMMIT;"]
            try await server.execute(script.joined(separator: "\n"))
        } else {
            // Not swapped, or put back already: only the closed doors may have to be opened again.
            if let old, old.name == item.before, list.named(item.live) == nil {
                try await server.execute(DatabaseStatements.rename(item.before, to: item.live))
            }
            for entry in [old, copy].compactMap({ $0 }) where !entry.allowsConnections {
                let name = entry.name == item.before ? item.live : entry.name
                try await server.execute(DatabaseStatements.allowConnections(name, true))
            }
        }
        state.items[index].stage = .rolledBack
        try await state.save(journal)
    }
}
