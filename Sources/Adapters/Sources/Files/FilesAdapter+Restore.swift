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
        try await prepared(restore).verify()
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let files = try prepared(restore)
        var state = try await recorded(journal, restore)
        guard [.staged, .promoting, .promoted].contains(state.phase), state.roots.allSatisfy({ $0.staged != nil })
        else { throw Failure(.restoreFailed, "restore \(restore.restoreID) is not staged") }
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
                        try MergePromotion(root, files, step: step).promote()
                    } else {
                        try RootPromotion(root, part, step: step).promote()
                    }
                }
            }
        }
        state.phase = .promoted
        try await journal.record(state.value)
    }

    func rollBack(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let files = try prepared(restore)
        guard var state = try RestoreState(await journal.recorded) else { return }
        if state.phase == .promoting || state.phase == .promoted {
            for part in state.roots.reversed() {
                guard let root = files.roots.first(where: { $0.path == part.path }) else { continue }
                await journal.note("putting back \(root.path)")
                try await reporting {
                    try await Blocking.run {
                        let step = { (name: String) throws in
                            if let beforeStep = files.beforeStep { try beforeStep(name) }
                        }
                        if part.merges {
                            try MergePromotion(root, files, step: step).rollBack()
                        } else {
                            try RootPromotion(root, part, step: step).rollBack()
                        }
                    }
                }
            }
            // From here on the missing of a file in the stage means nothing any more.
            state.phase = .clearing
            try await journal.record(state.value)
        }
        try await reporting { try await files.clear(state) }
        try await journal.record(.null)
    }

    func abandon(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        try await reporting { try await prepared(restore).abandon(state, journal) }
    }

    func settle(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        guard state.phase == .promoted else {
            throw Failure(.restoreFailed, "restore \(restore.restoreID) is not promoted")
        }
        let files = try prepared(restore)
        try await reporting {
            try await Blocking.run {
                for part in state.roots where !part.merges {
                    guard let root = files.roots.first(where: { $0.path == part.path }) else { continue }
                    try RootPromotion(root, part) { try files.beforeStep?($0) }.settle()
                }
            }
            // Of a root that was exchanged nothing has the stage's name; of a merged one the emptied folders have.
            try await files.clear(
                RestoreState(phase: .clearing, roots: state.roots.filter(\.merges).map { $0.withoutParents }))
        }
        try await journal.record(.null)
    }

    private func prepared(_ restore: SourceRestore) throws -> FilesRestore {
        try FilesRestore(restore, storesDevices: settings.storesDevices, beforeStep: beforeStep)
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

extension RestoreState.Root {
    /// The same without directories to remove.
    fileprivate var withoutParents: RestoreState.Root {
        var copy = self
        copy.madeParents = []
        return copy
    }
}
