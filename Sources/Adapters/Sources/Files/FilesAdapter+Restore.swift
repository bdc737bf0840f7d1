// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem

extension FilesAdapter {
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let files = try prepared(restore)
        return try await reporting { try await Blocking.run { try files.plan() } }
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await reporting { try await prepared(restore).stage(journal) }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await prepared(restore).verify(journal)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let files = try prepared(restore)
        var state = try await recorded(journal, restore)
        guard [.staged, .promoting, .promoted].contains(state.phase), state.roots.allSatisfy({ $0.staged != nil })
        else { throw Failure(.restoreFailed, "restore \(restore.restoreID) is not staged") }
        // All of them before anything is touched: a roll-back has nothing but these.
        let roots = state.roots
        try await reporting {
            try await Blocking.run {
                for (index, part) in roots.enumerated() where part.merges {
                    let root = files.roots.first { $0.path == part.path }
                    try MergeList.write(
                        try root.map(files.mergeList) ?? [], to: MergeList.path(index, in: restore.place))
                }
            }
        }
        for index in state.roots.indices {
            guard let root = files.roots.first(where: { $0.path == state.roots[index].path }) else { continue }
            // Written before acting: a root without an old state is rolled back by moving the copy away. What lives there
            // may be the copy already, after a crash.
            if let live = try FileStatus.find(Array(root.path.utf8))?.inode, live != state.roots[index].staged {
                state.roots[index].old = live
            }
            state.phase = .promoting
            try await journal.record(state.value)
            let part = state.roots[index]
            await journal.note(part.merges ? "putting files into \(root.path)" : "exchanging \(root.path)")
            try await reporting {
                try await Blocking.run {
                    let step = { (name: String) throws in if let beforeStep = files.beforeStep { try beforeStep(name) }
                    }
                    if part.merges {
                        try MergePromotion(root.place, try files.mergeList(of: root), step: step).promote()
                    } else {
                        try RootPromotion(root.place, part, step: step).promote()
                    }
                }
            }
        }
        state.phase = .promoted
        try await journal.record(state.value)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await reporting { try await FilesEnding(place, beforeStep).rollBack(journal) }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        try await reporting { try await FilesEnding(place, beforeStep).abandon(state, journal) }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        try await reporting { try await FilesEnding(place, beforeStep).settle(state, journal) }
    }

    private func prepared(_ restore: SourceRestore) throws -> FilesRestore {
        try FilesRestore(
            restore, below: restoresBelow, storesDevices: settings.storesDevices, beforeStep: beforeStep)
    }

    private func recorded(_ journal: any RestoreJournal, _ restore: SourceRestore) async throws -> RestoreState {
        guard let state = try RestoreState(await journal.recorded) else {
            throw Failure(.restoreFailed, "restore \(restore.restoreID) is not staged")
        }
        return state
    }

    /// System errors of restore steps as failures.
    private func reporting<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch let error as SystemError {
            throw Failure(error.isNoSpace ? .localSpace : .restoreFailed, "unable to restore files: \(error)")
        }
    }
}
