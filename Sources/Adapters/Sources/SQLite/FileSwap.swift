// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Puts a staged database in the live one's place and back. A `-wal` or `-journal` belongs to one database file and
/// makes another one corrupt, so it always leaves before a new file arrives, and goes where its own file goes.
///
/// Every step looks where the two files are by their inodes, so that it can be repeated after a crash. Calls block.
struct FileSwap: Sendable {
    let target: String
    let new: UInt64
    let old: UInt64?
    /// Beside the target, hence on its file system.
    let staged: String
    let before: String
    let undone: String

    init(_ record: SQLiteRecord, id: String) throws {
        guard let new = record.new else { throw Failure(.restoreFailed, "nothing is staged for '\(record.target)'") }
        self.new = new
        (target, old) = (record.target, record.old)
        staged = Self.staged(record.target, id)
        before = "\(record.target).before-\(id)"
        undone = "\(record.target).undone-\(id)"
    }

    static func staged(_ target: String, _ id: String) -> String { "\(target).salvor-\(id)" }

    /// Puts the new file in place and keeps the old one under `before`.
    func forward() throws {
        if DatabaseFile.inode(target) != new {
            let present = DatabaseFile.inode(target)
            if present == old {
                try moveCompanions(from: target, to: before)
                if present == nil {
                    try move(staged, target)
                } else {
                    try exchange(staged, keepingAs: before)
                }
            } else if present == nil, DatabaseFile.inode(before) == old {
                try move(staged, target)  // between the two renames of a file system that cannot exchange
            } else {
                throw Failure(
                    .restoreFailed, "'\(target)' was replaced by somebody else meanwhile",
                    hint: "Look what is there; roll the restore back, or move it away.")
            }
            try sync()
        }
        if let old, DatabaseFile.inode(staged) == old { try move(staged, before) }
        try sync()
    }

    /// Puts the old file back and removes the new one.
    func back() throws {
        let kept = [before, staged].first { old != nil && DatabaseFile.inode($0) == old }
        let present = DatabaseFile.inode(target)
        if present == new {
            try moveCompanions(from: target, to: undone)
            if let kept {
                try exchange(kept, keepingAs: undone)
                if DatabaseFile.inode(kept) == new { try move(kept, undone) }
            } else if old == nil {
                try move(target, undone)
            } else {
                throw Failure(.restoreFailed, "the kept file '\(before)' is gone")
            }
        } else if present == nil, let kept {
            try move(kept, target)
        } else if present != old {
            throw Failure(
                .restoreFailed, "'\(target)' was replaced by somebody else meanwhile",
                hint: "The old database is '\(kept ?? before)'.")
        }
        try sync()
        try moveCompanions(from: before, to: target)
        try sync()
        try removeAll([undone])
        if DatabaseFile.inode(staged) == new { try removeAll([staged]) }
    }

    /// Removes the old file for good.
    func forget() throws {
        try removeAll([before])
    }

    /// Removes files with what belongs to them.
    func removeAll(_ paths: [String]) throws {
        for path in paths {
            for suffix in DatabaseFile.companions + [""] where unlink(path + suffix) != 0 && errno != ENOENT {
                throw Failure.system("remove", path + suffix, errno)
            }
        }
        try sync()
    }

    // MARK: Steps

    private func moveCompanions(from source: String, to destination: String) throws {
        for suffix in DatabaseFile.companions where DatabaseFile.inode(source + suffix) != nil {
            // One that is there already was moved earlier, or belongs to who has opened the database since.
            guard DatabaseFile.inode(destination + suffix) == nil else { continue }
            try move(source + suffix, destination + suffix)
        }
        try sync()
    }

    /// Exchanges the target with `other` in one step; where the file system cannot, in two, with what was at the target
    /// under `name`.
    private func exchange(_ other: String, keepingAs name: String) throws {
        do {
            try Renaming.exchange(Array(other.utf8), Array(target.utf8))
        } catch let error as SystemError where [EINVAL, ENOSYS, ENOTSUP].contains(error.code) {
            try move(target, name)
            try move(other, target)
        } catch let error as SystemError {
            throw Failure.system("exchange", target, error.code)
        }
    }

    private func move(_ source: String, _ destination: String) throws {
        do {
            try Renaming.moveToFreeName(Array(source.utf8), Array(destination.utf8))
        } catch let error as SystemError where [EINVAL, ENOSYS, ENOTSUP].contains(error.code) {
            guard DatabaseFile.inode(destination) == nil else {
                throw Failure(.targetExists, "'\(destination)' exists already")
            }
            guard rename(source, destination) == 0 else { throw Failure.system("rename", source, errno) }
        } catch let error as SystemError {
            throw Failure.system("rename '\(source)' to", destination, error.code)
        }
    }

    private func sync() throws {
        let folder = DatabaseFile.folder(of: target)
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure.system("open", folder, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Failure.system("sync", folder, errno) }
    }
}
