// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Glibc

/// Ends a restore of a `files` source by what the journal says: no bundle is read.
struct FilesEnding: Sendable {
    let place: RestorePlace
    private let beforeStep: (@Sendable (String) throws -> Void)?

    init(_ place: RestorePlace, _ beforeStep: (@Sendable (String) throws -> Void)?) {
        self.place = place
        self.beforeStep = beforeStep
    }

    private func step(_ name: String) throws { if let beforeStep { try beforeStep(name) } }

    private func root(_ part: RestoreState.Root) -> RootPlace { RootPlace(path: part.path, restoreID: place.restoreID) }

    /// Puts the old state back and removes the restored copies.
    func rollBack(_ journal: any RestoreJournal) async throws {
        guard var state = try RestoreState(await journal.recorded) else { return }
        if state.phase == .promoting || state.phase == .promoted {
            for (index, part) in state.roots.enumerated().reversed() {
                await journal.note("putting back \(part.path)")
                try await Blocking.run {
                    if part.merges {
                        let members = try MergeList.read(MergeList.path(index, in: place))
                        try MergePromotion(root(part), members, step: step).rollBack()
                    } else {
                        try RootPromotion(root(part), part, step: step).rollBack()
                    }
                }
            }
            // From here on the missing of a file in the stage means nothing any more.
            state.phase = .clearing
            try await journal.record(state.value)
        }
        try await clear(state)
        try await journal.record(.null)
    }

    /// Removes what `stage` made.
    func abandon(_ state: RestoreState, _ journal: any RestoreJournal) async throws {
        guard state.phase == .staging || state.phase == .staged || state.phase == .clearing else {
            throw Failure(
                .restoreFailed, "restore \(place.restoreID) was promoted, at least in part",
                hint: "Roll it back instead: 'salvor restore --rollback \(place.restoreID)'.")
        }
        try await clear(state)
        try await journal.record(.null)
    }

    /// Removes the old state.
    func settle(_ state: RestoreState, _ journal: any RestoreJournal) async throws {
        guard state.phase == .promoted else {
            throw Failure(.restoreFailed, "restore \(place.restoreID) is not promoted")
        }
        try await Blocking.run {
            for part in state.roots where !part.merges {
                try RootPromotion(root(part), part, step: step).settle()
            }
        }
        // Of a root that was exchanged nothing has the stage's name; of a merged one the emptied folders have.
        try await clear(RestoreState(phase: .clearing, roots: state.roots.filter(\.merges).map { $0.withoutParents }))
        try await journal.record(.null)
    }

    /// Removes the copies beside the targets, which hold nothing that counts any more.
    private func clear(_ state: RestoreState) async throws {
        try await Blocking.run {
            for part in state.roots {
                let root = root(part)
                if try FileStatus.find(Array(root.parent.utf8)) != nil {
                    let parent = try root.openParent()
                    try step("remove")
                    try TreeRemoval.remove(Array(root.stage.utf8), in: parent.raw)
                    if part.merges { try TreeRemoval.remove(Array(root.before.utf8), in: parent.raw) }
                }
                // Only those that are still empty go.
                for path in part.madeParents.reversed() { rmdir(path) }
            }
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
