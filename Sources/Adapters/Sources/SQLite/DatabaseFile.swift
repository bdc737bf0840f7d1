// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A database file as the file system sees it. Calls block.
struct DatabaseFile: Sendable {
    /// What belongs to a database beside its main file. A stranger's makes it corrupt.
    static let companions = ["-wal", "-shm", "-journal"]

    /// The path with symbolic links followed.
    var path: String
    var size: UInt64
    var user: UInt32
    var group: UInt32
    var mode: UInt32
    var inode: UInt64

    /// The file at `path`.
    ///
    /// - Throws: `Failure(.sourceNotFound)` when there is none.
    static func existing(_ path: String) throws -> DatabaseFile {
        guard let file = try find(path) else {
            throw Failure(.sourceNotFound, "there is no file '\(path)'", hint: "Check 'path' of the source.")
        }
        return file
    }

    /// The file at `path`; nil when there is none.
    static func find(_ path: String) throws -> DatabaseFile? {
        guard let resolved = realpath(path, nil) else {
            if errno == ENOENT { return nil }
            throw Failure.system("look at", path, errno)
        }
        defer { free(resolved) }
        let real = String(cString: resolved)
        var status = stat()
        guard lstat(real, &status) == 0 else { throw Failure.system("look at", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure(.sourceFailed, "'\(path)' is not a plain file") }
        return DatabaseFile(
            path: real, size: UInt64(status.st_size), user: status.st_uid, group: status.st_gid,
            mode: status.st_mode & 0o7777, inode: UInt64(status.st_ino))
    }

    /// Inode of what is at `path`, links not followed; nil when there is nothing.
    static func inode(_ path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// Size of what is at `path`; nil when there is nothing.
    static func size(_ path: String) -> UInt64? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_size) : nil
    }
}

extension DatabaseFile {
    /// The folder of a path that begins with `/`.
    static func folder(of path: String) -> String {
        let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return folder.isEmpty ? "/" : String(folder)
    }

    /// Where `path` leads: through symbolic links when there is a file, else in its folder.
    static func resolve(_ path: String) throws -> String {
        if let file = try find(path) { return file.path }
        let folder = folder(of: path)
        guard let resolved = realpath(folder, nil) else { throw Failure.system("look at", folder, errno) }
        defer { free(resolved) }
        let name = path[(path.lastIndex(of: "/") ?? path.startIndex)...]
        let real = String(cString: resolved)
        return real == "/" ? String(name) : real + name
    }
}
