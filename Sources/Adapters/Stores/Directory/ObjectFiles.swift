// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// Objects as files below a root, with the system calls that make them durable. Everything here blocks.
struct ObjectFiles: Sendable {
    /// Absolute, without a trailing slash unless it is `/`.
    let root: String
    /// Where objects are written before they have a name; never listed.
    static let temporaryFolder = ".tmp"
    /// The file system's own folder at the root of a volume, which only root may look into.
    private static let foreignFolders: Set<String> = [temporaryFolder, "lost+found"]

    /// Throws unless `key` may name an object in a directory.
    static func check(_ key: String) throws {
        try StoreKey.check(key)
        let first = key.prefix { $0 != "/" }
        guard !foreignFolders.contains(String(first)) else {
            throw Failure(.internalError, "'\(key)' cannot be the key of an object: '\(first)' is reserved")
        }
    }

    func path(_ key: String) -> String { key.isEmpty ? root : "\(root)/\(key)" }

    /// Writes a whole object and makes it durable.
    func write(_ key: String, _ body: [UInt8], mayReplace: Bool, cancellation: CancellationFlag) throws {
        if !mayReplace, access(path(key), F_OK) == 0 { throw alreadyThere(key) }
        let temporary = path("\(Self.temporaryFolder)/\(getpid())-\(UUID().uuidString)")
        let file = try createTemporary(temporary)
        var isNamed = false
        defer {
            if !isNamed { unlink(temporary) }
        }
        do {
            defer { close(file) }
            try body.withUnsafeBytes { try write($0, to: file, key, cancellation) }
            // One force to disk for the data; close(2) then has nothing left that could fail.
            guard fsync(file) == 0 else { throw failure("writing '\(key)'") }
        }
        try name(temporary, key, mayReplace: mayReplace)
        isNamed = mayReplace
        try force(Self.folder(of: key))
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, to file: Int32, _ key: String, _ cancellation: CancellationFlag
    ) throws {
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            try cancellation.check()
            let count = Foundation.write(file, start + done, bytes.count - done)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("writing '\(key)'")
            }
            done += count
        }
    }

    private func createTemporary(_ temporary: String) throws -> Int32 {
        for attempt in 0..<2 {
            let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if file >= 0 { return file }
            guard errno == ENOENT, attempt == 0 else { break }
            try makeRoot()
            try makeFolder(Self.temporaryFolder)
        }
        throw failure("creating a file")
    }

    private func makeRoot() throws {
        if mkdir(root, 0o700) == 0 {
            try force("..")
            return
        }
        guard errno == EEXIST else { throw failure("making the directory") }
    }

    /// Removes what killed runs left in `.tmp/` more than a day ago.
    func removeAbandoned() throws {
        guard access(path(Self.temporaryFolder), F_OK) == 0 else { return }
        let yesterday = SystemClock().now().seconds - 86400
        for entry in try entries(of: Self.temporaryFolder) {
            let path = path("\(Self.temporaryFolder)/\(entry.name)")
            var status = stat()
            guard lstat(path, &status) == 0, Int64(status.st_mtim.tv_sec) < yesterday else { continue }
            // Somebody else may have been quicker, and the next run tries again.
            unlink(path)
        }
    }

    /// Gives the finished file its name. Folders that a concurrent `delete` took away in between are made again.
    private func name(_ temporary: String, _ key: String, mayReplace: Bool) throws {
        for _ in 0..<100 {
            let result = mayReplace ? rename(temporary, path(key)) : link(temporary, path(key))
            if result == 0 { return }
            switch errno {
            case ENOENT: try makeFolder(Self.folder(of: key))
            case EEXIST where !mayReplace: throw alreadyThere(key)
            default: throw failure("naming '\(key)'")
            }
        }
        throw Failure(.storageFailed, "\(root): the folder of '\(key)' keeps disappearing")
    }

    private func alreadyThere(_ key: String) -> Failure {
        Failure(.conflict, "'\(key)' already exists in \(root)")
    }

    /// Makes a folder and those above it, and forces each new name to disk.
    private func makeFolder(_ folder: String) throws {
        var made = ""
        for part in folder.split(separator: "/") {
            let parent = made
            made = made.isEmpty ? String(part) : "\(made)/\(part)"
            if mkdir(path(made), 0o700) == 0 {
                // A concurrent delete may take both away before their names are on disk; the caller comes again.
                guard try force(parent, mayBeGone: !parent.isEmpty) else { return }
            } else if errno != EEXIST {
                // ENOENT: the parent was removed by a concurrent delete; the caller comes again.
                if errno == ENOENT, !parent.isEmpty { return }
                throw failure("making the folder '\(made)'")
            }
        }
    }

    /// Forces the names in a folder to disk; false only when it is gone and `mayBeGone`.
    @discardableResult
    private func force(_ folder: String, mayBeGone: Bool = false) throws -> Bool {
        let descriptor = open(path(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if mayBeGone, errno == ENOENT { return false }
            throw failure("opening the folder '\(folder)'")
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("forcing the folder '\(folder)' to disk") }
        return true
    }

    /// The folder part of a key; empty for one at the root.
    static func folder(of key: String) -> String {
        key.lastIndex(of: "/").map { String(key[..<$0]) } ?? ""
    }
}
