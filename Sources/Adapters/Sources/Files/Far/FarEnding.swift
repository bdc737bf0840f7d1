// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Promotes and ends a far restore of a `files` source by what the journal says: no bundle is read.
struct FarEnding: Sendable {
    let host: FarHost
    let place: RestorePlace

    private func far(_ part: RestoreState.Root) -> FarPlace { FarPlace(part, place.restoreID) }

    /// The members that go one by one, as noted before anything was touched.
    private func members(_ index: Int) async throws -> [MergeList.Member] {
        try await Blocking.run { try MergeList.read(MergeList.path(index, in: place)) }
    }

    /// Puts every staged copy at its place.
    func promote(_ journal: any RestoreJournal) async throws {
        guard var state = try RestoreState(await journal.recorded),
            [.staged, .promoting, .promoted].contains(state.phase), state.roots.allSatisfy({ $0.staged != nil })
        else { throw Failure(.restoreFailed, "restore \(place.restoreID) is not staged") }
        if state.phase == .staged {
            // Written before acting. What lives there now may be another one than when it was staged.
            for index in state.roots.indices {
                let live = try await host.output(FarScripts.survey, [state.roots[index].path])
                    .split(separator: "\n", omittingEmptySubsequences: false)
                state.roots[index].old = live.count > 1 ? UInt64(live[1]) : nil
            }
            state.phase = .promoting
            try await journal.record(state.value)
        }
        for (index, part) in state.roots.enumerated() {
            let far = far(part)
            if part.merges {
                await journal.note("putting files into \(part.path) of \(host.transport.description)")
                try await FarMerge(host: host, path: part.path).promote(far, part, try await members(index))
                continue
            }
            await journal.note("exchanging \(part.path) of \(host.transport.description)")
            if part.isInside {
                try await host.output(FarScripts.promoteInside, [part.path, far.stage, far.before])
            } else {
                try await host.output(
                    FarScripts.promote, [part.path, far.stage, far.before, part.staged.map { String($0) } ?? ""])
            }
        }
        state.phase = .promoted
        try await journal.record(state.value)
    }

    /// Puts the old state back and removes the restored copies.
    func rollBack(_ journal: any RestoreJournal) async throws {
        guard var state = try RestoreState(await journal.recorded) else { return }
        if state.phase == .promoting || state.phase == .promoted {
            for (index, part) in state.roots.enumerated().reversed() {
                let far = far(part)
                await journal.note("putting back \(part.path) of \(host.transport.description)")
                if part.merges {
                    try await FarMerge(host: host, path: part.path).rollBack(far, part, try await members(index))
                } else if part.isInside {
                    try await host.output(FarScripts.rollBackInside, [part.path, far.stage, far.before])
                } else {
                    try await host.output(
                        FarScripts.rollBack,
                        [
                            part.path, far.stage, far.before, part.staged.map { String($0) } ?? "none",
                            part.old.map { String($0) } ?? "",
                        ])
                }
            }
            state.phase = .clearing
            try await journal.record(state.value)
        }
        try await clear(state)
        try await journal.record(.null)
    }

    /// Removes what `stage` made.
    func abandon(_ journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        guard state.phase == .staging || state.phase == .staged || state.phase == .clearing else {
            throw Failure(
                .restoreFailed, "restore \(place.restoreID) was promoted, at least in part",
                hint: "Roll it back instead: 'salvor restore --rollback \(place.restoreID)'.")
        }
        try await clear(state)
        try await journal.record(.null)
    }

    /// Removes the old state.
    func settle(_ journal: any RestoreJournal) async throws {
        guard let state = try RestoreState(await journal.recorded) else { return }
        guard state.phase == .promoted else {
            throw Failure(.restoreFailed, "restore \(place.restoreID) is not promoted")
        }
        for part in state.roots {
            try await host.output(FarScripts.remove, [far(part).before])
            // The folders that chosen files came from.
            if part.merges { try await host.output(FarScripts.remove, [far(part).stageFolder]) }
        }
        try await journal.record(.null)
    }

    private func clear(_ state: RestoreState) async throws {
        for part in state.roots {
            try await host.output(FarScripts.remove, [far(part).stageFolder] + part.madeParents.reversed())
            if part.merges { try await host.output(FarScripts.remove, [far(part).before]) }
        }
    }
}
