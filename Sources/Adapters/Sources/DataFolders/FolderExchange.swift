// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Puts a staged folder in a live one's place and back, on one file system. Every step looks where the two are by their
/// inodes, so that it can be repeated after a crash. Calls block.
public struct FolderExchange: Sendable {
    /// The live folder; need not be there yet.
    public let target: String
    /// Beside it: the staged copy until it is promoted.
    public let staged: String
    /// Beside it: the old folder once the copy is promoted.
    public let before: String

    /// - Parameter target: absolute, without a trailing slash.
    public init(_ target: String, restoreID: String) {
        self.target = target
        let parent = Self.parent(of: target)
        let name = target.split(separator: "/").last.map(String.init) ?? ""
        staged = "\(parent == "/" ? "" : parent)/.\(name).salvor-\(restoreID)"
        before = "\(parent == "/" ? "" : parent)/.\(name).before-\(restoreID)"
    }

    /// The folder of a path that begins with `/`.
    public static func parent(of path: String) -> String {
        let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return parent.isEmpty ? "/" : String(parent)
    }

    /// Inode of what is at `path`, links not followed; nil when there is nothing.
    public static func inode(_ path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// Puts the folder of inode `new` in place and keeps the one of inode `old` under `before`.
    ///
    /// - Throws: `Failure(.restoreFailed)`, also when somebody else replaced the folder meanwhile.
    public func forward(new: UInt64, old: UInt64?) throws {
        let present = Self.inode(target)
        if present != new {
            if present == nil, old == nil || Self.inode(before) == old {
                try move(staged, target)
            } else if present == old {
                try exchange(staged)
            } else {
                throw Failure(
                    .restoreFailed, "'\(target)' was replaced by somebody else meanwhile",
                    hint: "Look what is there; roll the restore back, or move it away.")
            }
        }
        if let old, Self.inode(staged) == old { try move(staged, before) }
        try sync()
    }

    /// Puts the folder of inode `old` back; the other one goes back to `staged`.
    public func back(new: UInt64, old: UInt64?) throws {
        let kept = [before, staged].first { old != nil && Self.inode($0) == old }
        let present = Self.inode(target)
        if present == new {
            if let kept {
                try exchange(kept)
                if kept != staged { try move(kept, staged) }
            } else if old == nil {
                try move(target, staged)
            } else {
                throw Failure(.restoreFailed, "the kept folder '\(before)' is gone")
            }
        } else if present == nil, let kept {
            try move(kept, target)
        } else if present != old {
            throw Failure(
                .restoreFailed, "'\(target)' was replaced by somebody else meanwhile",
                hint: "The old folder is '\(kept ?? before)'.")
        }
        try sync()
    }

    /// Removes what is at `path`, one of this value's own names.
    public static func remove(_ path: String) throws {
        try saying("remove", path) {
            let parent = parent(of: path)
            guard inode(parent) != nil else { return }
            let folder = try Descriptor.directory(Array(parent.utf8), followingLinks: true)
            try TreeRemoval.remove(Array((path.split(separator: "/").last ?? "").utf8), in: folder.raw)
        }
    }

    /// Gives everything below `path` the owner of `pattern`, which the server that is to use it runs as. Without the right
    /// to give files away, or without a pattern, they stay the caller's.
    ///
    /// - Returns: whether they have that owner now.
    @discardableResult
    public static func giveAway(_ path: String, like pattern: String) throws -> Bool {
        var status = stat()
        guard stat(pattern, &status) == 0 else { return false }
        if status.st_uid == geteuid(), status.st_gid == getegid() { return true }
        return try give(path, status.st_uid, status.st_gid)
    }

    private static func give(_ path: String, _ user: uid_t, _ group: gid_t) throws -> Bool {
        if lchown(path, user, group) != 0 {
            if errno == EPERM { return false }
            throw failure("give away", path, errno)
        }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw failure("look at", path, errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { return true }
        return try saying("list", path) {
            let listing = DirectoryListing()
            let folder = try Descriptor.directory(Array(path.utf8))
            try withExtendedLifetime(folder) { try listing.read(folder.raw, path: Array(path.utf8)) }
            for index in 0..<listing.count {
                let name = String(decoding: listing.bytes(at: index), as: UTF8.self)
                guard try give("\(path)/\(name)", user, group) else { return false }
            }
            return true
        }
    }

    private func exchange(_ other: String) throws {
        try Self.saying("exchange", target) { try Renaming.exchange(Array(other.utf8), Array(target.utf8)) }
    }

    private func move(_ source: String, _ destination: String) throws {
        try Self.saying("rename '\(source)' to", destination) {
            try Renaming.moveToFreeName(Array(source.utf8), Array(destination.utf8))
        }
    }

    private func sync() throws {
        try Self.saying("sync", target) {
            let parent = Array(Self.parent(of: target).utf8)
            let folder = try Descriptor.directory(parent, followingLinks: true)
            try withExtendedLifetime(folder) { try FileSystemSync.one(folder.raw, path: parent) }
        }
    }

    private static func saying<Result>(_ verb: String, _ path: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as SystemError { throw failure(verb, path, error.code) }
    }

    private static func failure(_ verb: String, _ path: String, _ number: Int32) -> Failure {
        Failure(
            number == ENOSPC || number == EDQUOT ? .localSpace : .restoreFailed,
            "unable to \(verb) '\(path)': \(String(cString: strerror(number)))")
    }
}
