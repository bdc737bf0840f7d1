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
                // Also when this task was cancelled: of several databases, all are swapped or none.
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
        var changes: [String] = []
        if live != nil {
            changes += [
                DatabaseStatements.rename(item.live, to: item.before),
                DatabaseStatements.allowConnections(item.before, false),
            ]
        }
        changes.append(DatabaseStatements.rename(staged.name, to: item.live))
        try await exchange(changes, emptying: [live, staged].compactMap { $0 }, server)
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

    /// Makes the changes in one transaction, with nobody in these databases.
    ///
    /// A rename keeps newcomers out from its first moment, and gives those who are in five seconds to go
    /// (`CountOtherDBBackends` in PostgreSQL's dbcommands.c); meanwhile they are sent away. So no door is shut before, and
    /// none stays shut behind a salvor that is killed.
    private func exchange(
        _ changes: [String], emptying entries: [DatabaseList.Entry], _ server: Server
    ) async throws {
        // The code of an error is the same in every language.
        let script = (["\\set VERBOSITY verbose", "BEGIN;"] + changes + ["COMMIT;"]).joined(separator: "\n")
        let leave = entries.map { DatabaseStatements.terminate(id: $0.oid) }.joined(separator: "\n")
        let deadline = ContinuousClock.now + .seconds(30)
        for attempt in 1... {
            try Task.checkCancellation()
            // Not a part of this task: when it is cancelled, it still must be known whether the exchange came about.
            let exchange = Task { try await server.execute(script) }
            let clearing = Task {
                while true {
                    try await server.execute(leave)
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            let outcome = await exchange.result
            clearing.cancel()
            let cleared = await clearing.result
            // 55006, object_in_use: somebody is still inside.
            do { return try outcome.get() } catch let error as Failure where error.summary.contains("55006") {
                // Why they do not go is worth more than that they do not.
                if case .failure(let reason as Failure) = cleared { throw reason }
                let list = try await DatabaseList.read(server)
                let sessions = entries.compactMap { list.with(id: $0.oid)?.sessions }.reduce(0, +)
                guard ContinuousClock.now < deadline, sessions > 0 || attempt == 1 else {
                    throw Failure(
                        .restoreFailed, error.summary,
                        hint: "Look at pg_stat_activity and end the sessions by hand, then promote again.")
                }
            }
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
            // The copy may hold what was written since the promotion: it is kept, and can be looked at.
            var changes = [DatabaseStatements.rename(item.live, to: item.staged)]
            if old != nil {
                changes += [
                    DatabaseStatements.rename(item.before, to: item.live),
                    DatabaseStatements.allowConnections(item.live, true),
                ]
            }
            try await exchange(changes, emptying: [copy, old].compactMap { $0 }, server)
        }
        state.items[index].stage = .rolledBack
        try await state.save(journal)
    }
}
