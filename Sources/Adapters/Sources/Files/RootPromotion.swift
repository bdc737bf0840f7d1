// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Exchanges one whole root. Which step was the last is read off the inodes behind the three names, so every call may be
/// repeated after a crash at any moment.
struct RootPromotion {
    let root: RootPlace
    let state: RestoreState.Root
    let step: (String) throws -> Void
    private let parent: Descriptor
    private let (live, stage, before): ([UInt8], [UInt8], [UInt8])

    init(_ root: RootPlace, _ state: RestoreState.Root, step: @escaping (String) throws -> Void) throws {
        self.root = root
        self.state = state
        self.step = step
        parent = try root.openParent()
        (live, stage, before) = (Array(root.name.utf8), Array(root.stage.utf8), Array(root.before.utf8))
    }

    private func inode(_ name: [UInt8]) throws -> UInt64? { try FileStatus.find(name, in: parent.raw)?.inode }

    /// Puts the staged copy at the target and keeps what was there.
    func promote() throws {
        let (liveInode, stageInode) = (try inode(live), try inode(stage))
        if liveInode != state.staged {
            guard stageInode == state.staged else {
                throw Failure(
                    .restoreFailed, "the staged copy '\(root.parent)/\(root.stage)' is gone",
                    hint: "Roll back and start the restore again.")
            }
            if liveInode == nil {
                try step("move")
                try Renaming.moveToFreeName(stage, in: parent.raw, live, in: parent.raw)
            } else {
                try step("exchange")
                try Renaming.exchange(stage, in: parent.raw, live, in: parent.raw)
            }
        }
        // What has the stage's name now is what lived at the target.
        if state.old != nil, let left = try inode(stage), left != state.staged {
            try step("keep")
            try Renaming.moveToFreeName(stage, in: parent.raw, before, in: parent.raw)
        }
        try FileSystemSync.one(parent.raw, path: Array(root.parent.utf8))
    }

    /// Puts the old state back; the restored copy is under the stage's name afterwards.
    func rollBack() throws {
        let (liveInode, stageInode, beforeInode) = (try inode(live), try inode(stage), try inode(before))
        if let liveInode, liveInode == state.staged {
            if state.old == nil {
                try step("move back")
                try Renaming.moveToFreeName(live, in: parent.raw, stage, in: parent.raw)
            } else if beforeInode != nil {
                try step("exchange back")
                try Renaming.exchange(before, in: parent.raw, live, in: parent.raw)
            } else if stageInode != nil {
                try step("exchange back")
                try Renaming.exchange(stage, in: parent.raw, live, in: parent.raw)
            } else {
                throw Failure(
                    .restoreFailed, "the old state of '\(root.path)' is gone",
                    hint: "Restore the safety bundle instead.")
            }
        }
        if let copy = try inode(before), copy == state.staged {
            try step("set aside")
            try Renaming.moveToFreeName(before, in: parent.raw, stage, in: parent.raw)
        } else if try inode(before) != nil, try inode(live) == nil {
            // The restored copy was taken away from the target by somebody; the old state belongs there.
            try step("move back")
            try Renaming.moveToFreeName(before, in: parent.raw, live, in: parent.raw)
        }
        try FileSystemSync.one(parent.raw, path: Array(root.parent.utf8))
    }

    /// Removes the old state.
    func settle() throws {
        try step("remove")
        try TreeRemoval.remove(before, in: parent.raw)
    }
}
