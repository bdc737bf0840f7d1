// SPDX-License-Identifier: Apache-2.0
import Archiving
import Domain
import FileSystem
import Glibc

/// Puts chosen files of one root into the live tree, one atomic rename each.
///
/// Before a live file is replaced it gets a second name in the before-folder. A file that is in the stage is not promoted
/// yet, one that is not there is; a directory that is missing in the live tree is moved with all that is staged in it. So
/// every call may be repeated after a crash at any moment.
struct MergePromotion {
    let root: RootPlace
    let members: [MergeList.Member]
    let step: (String) throws -> Void
    private let parent: Descriptor
    private let stage: DirectoryChain
    private let live: DirectoryChain
    private let before: DirectoryChain

    init(_ root: RootPlace, _ members: [MergeList.Member], step: @escaping (String) throws -> Void) throws {
        self.root = root
        self.step = step
        self.members = members
        parent = try root.openParent()
        stage = try Self.chain(root.stage, in: parent, creating: true)
        live = try Self.chain(root.name, in: parent, creating: false)
        before = try Self.chain(root.before, in: parent, creating: true)
    }

    private static func chain(_ name: String, in parent: Descriptor, creating: Bool) throws -> DirectoryChain {
        let bytes = Array(name.utf8)
        if creating, withCName(bytes, { mkdirat(parent.raw, $0, 0o700) }) != 0, errno != EEXIST {
            throw SystemError("make directory", path: bytes)
        }
        return DirectoryChain(root: try Descriptor.directory(bytes, in: parent.raw))
    }

    func promote() throws {
        try refuseConflicts()
        var moved: [UInt8]?
        for (path, isDirectory) in members.lazy.map({ ($0.path, $0.isDirectory) }) {
            if let moved, path.isBelow(moved) { continue }
            guard let (stageFolder, name) = try find(path, stage) else { continue }
            guard let (liveFolder, there) = try place(path, live) else { continue }
            if isDirectory {
                guard there == nil else { continue }
                try step("move directory")
                try Renaming.moveToFreeName(name, in: stageFolder, name, in: liveFolder)
                stage.forget()
                moved = path
            } else if there == nil {
                try step("move")
                try Renaming.moveToFreeName(name, in: stageFolder, name, in: liveFolder)
            } else {
                try keep(path, name, liveFolder)
                try step("replace")
                try Renaming.replace(name, in: stageFolder, name, in: liveFolder)
            }
        }
        try FileSystemSync.all(of: parent.raw, path: Array(root.parent.utf8))
    }

    func rollBack() throws {
        for (path, isDirectory) in members.lazy.map({ ($0.path, $0.isDirectory) }) {
            let isStaged = try find(path, stage) != nil
            if isDirectory {
                if !isStaged { try takeBack(path) }
                continue
            }
            guard let (beforeFolder, name) = try find(path, before) else {
                if !isStaged { try takeBack(path) }
                continue
            }
            let (liveFolder, _) = try live.parent(of: path)
            if !isStaged {
                // The restored file stays at hand until the old one is back.
                let (stageFolder, _) = try stage.parent(of: path, creating: true)
                try step("set aside")
                try link(name, from: liveFolder, to: stageFolder)
            }
            try step("put back")
            try Renaming.replace(name, in: beforeFolder, name, in: liveFolder)
            // Two names of one file: the rename did nothing (rename(2)), and the old one was never replaced.
            if try FileStatus.find(name, in: beforeFolder) != nil,
                withCName(name, { unlinkat(beforeFolder, $0, 0) }) != 0
            {
                throw SystemError("remove", path: path)
            }
        }
        try FileSystemSync.all(of: parent.raw, path: Array(root.parent.utf8))
    }

    private func refuseConflicts() throws {
        for (path, isDirectory) in members.lazy.map({ ($0.path, $0.isDirectory) }) {
            guard let (_, there) = try place(path, live), let there else { continue }
            if (there.kind == .directory) != isDirectory {
                throw Failure(
                    .restoreBlocked,
                    "'\(root.path)/\(PathText.display(path))' is \(there.kind == .directory ? "a" : "no") directory now",
                    hint: "Move it away, or restore the whole of '\(root.path)'.")
            }
        }
    }

    /// Moves a new file or directory out of the live tree, back to the stage.
    private func takeBack(_ path: [UInt8]) throws {
        guard let (liveFolder, name) = try find(path, live) else { return }
        let (stageFolder, _) = try stage.parent(of: path, creating: true)
        try step("take back")
        try Renaming.moveToFreeName(name, in: liveFolder, name, in: stageFolder)
        live.forget()
    }

    private func keep(_ path: [UInt8], _ name: [UInt8], _ liveFolder: Int32) throws {
        let (folder, _) = try before.parent(of: path, creating: true)
        if let kept = try FileStatus.find(name, in: folder) {
            if let there = try FileStatus.find(name, in: liveFolder), there.isSameFile(as: kept) { return }
            // The live file was written anew since the promotion broke off.
            guard withCName(name, { unlinkat(folder, $0, 0) }) == 0 else { throw SystemError("remove", path: path) }
        }
        try step("keep")
        try link(name, from: liveFolder, to: folder)
    }

    private func link(_ name: [UInt8], from: Int32, to: Int32) throws {
        let result = withCName(name) { linkat(from, $0, to, $0, 0) }
        // A live file that somebody removed has nothing to be kept.
        guard result == 0 || errno == EEXIST || errno == ENOENT else { throw SystemError("link", path: name) }
    }

    /// The folder and the name of what exists; nil when it does not.
    private func find(_ path: [UInt8], _ chain: DirectoryChain) throws -> (Int32, [UInt8])? {
        guard let (folder, status) = try place(path, chain), status != nil else { return nil }
        return (folder, Array(path.lastPart))
    }

    /// The folder of a path and what is there; nil when there is no such folder.
    private func place(_ path: [UInt8], _ chain: DirectoryChain) throws -> (Int32, FileStatus?)? {
        do {
            let (folder, name) = try chain.parent(of: path)
            return (folder, try FileStatus.find(name, in: folder))
        } catch let error as SystemError where error.code == ENOENT {
            return nil
        } catch let error as SystemError where error.code == ENOTDIR || error.code == ELOOP {
            throw Failure(
                .restoreBlocked, "a part of '\(root.path)/\(PathText.display(path))' is a link or no directory now",
                hint: "Move it away, or restore the whole of '\(root.path)'.")
        }
    }
}
