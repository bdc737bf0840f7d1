// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

extension ObjectFiles {
    /// One name in a folder.
    struct Entry: Sendable {
        var name: String
        var isDirectory: Bool
    }

    /// Reads a whole object or a range, which must be there in full.
    func read(_ key: String, range: Range<UInt64>?, cancellation: CancellationFlag) throws -> [UInt8] {
        let file = open(path(key), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw try missing(key) }
            throw failure("opening '\(key)'")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("reading '\(key)'") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw try missing(key) }
        let size = UInt64(status.st_size)
        let wanted = range ?? 0..<size
        guard wanted.upperBound <= size else { throw Self.tooShort(key, size: size, range: wanted) }

        let count = Int(wanted.count)
        return try LargeArrays.make(count) { buffer, filled in
            while filled < count, let start = buffer.baseAddress {
                try cancellation.check()
                let got = pread(file, start + filled, count - filled, off_t(wanted.lowerBound) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { throw failure("reading '\(key)'") }
                if got == 0 {
                    throw Failure(.storageFailed, "'\(key)' in \(root) became shorter while it was read")
                }
                filled += got
            }
        }
    }

    /// The failure of a range that lies outside its object, the same for every store.
    static func tooShort(_ key: String, size: UInt64, range: Range<UInt64>) -> Failure {
        Failure(
            .integrity,
            "'\(key)' has \(size) bytes, but bytes \(range.lowerBound) to \(range.upperBound) were asked for",
            hint: "The object is damaged or was replaced; run 'salvor validate-backup' on its bundle.")
    }

    /// The size of an object; nil when it is not there.
    func size(of key: String) throws -> UInt64? {
        var status = stat()
        guard lstat(path(key), &status) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("looking at '\(key)'") }
            try requireRoot()
            return nil
        }
        return status.st_mode & S_IFMT == S_IFREG ? UInt64(status.st_size) : nil
    }

    /// The files and folders directly in `folder`, in no order; none when it is not there. Links and devices are nobody's
    /// objects and left out.
    func entries(of folder: String) throws -> [Entry] {
        guard let handle = opendir(path(folder)) else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("listing '\(folder)'") }
            try requireRoot()
            return []
        }
        defer { closedir(handle) }
        var entries: [Entry] = []
        while true {
            errno = 0
            guard let item = readdir(handle) else {
                guard errno == 0 else { throw failure("listing '\(folder)'") }
                return entries
            }
            guard let name = Self.name(of: item) else {
                throw Failure(
                    .storageFailed, "\(path(folder)) holds a file whose name is not UTF-8",
                    hint: "Move files that are not Salvor's out of the repository.")
            }
            if name == "." || name == ".." { continue }
            if folder.isEmpty, Self.isForeign(name) { continue }
            if let isDirectory = try isDirectory(item, "\(path(folder))/\(name)") {
                entries.append(Entry(name: name, isDirectory: isDirectory))
            }
        }
    }

    private static func isForeign(_ name: String) -> Bool { name == temporaryFolder || name == "lost+found" }

    private static func name(of item: UnsafeMutablePointer<dirent>) -> String? {
        withUnsafePointer(to: &item.pointee.d_name) { field in
            field.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(validatingCString: $0) }
        }
    }

    /// nil for what is neither a file nor a folder, or is gone.
    private func isDirectory(_ item: UnsafeMutablePointer<dirent>, _ path: String) throws -> Bool? {
        switch Int(item.pointee.d_type) {
        case Int(DT_REG): return false
        case Int(DT_DIR): return true
        case Int(DT_UNKNOWN):
            // Some file systems do not tell in the listing.
            var status = stat()
            guard lstat(path, &status) == 0 else {
                if errno == ENOENT { return nil }
                throw failure("looking at '\(path)'")
            }
            if status.st_mode & S_IFMT == S_IFDIR { return true }
            return status.st_mode & S_IFMT == S_IFREG ? false : nil
        default: return nil
        }
    }

    /// Removes an object, durably, and the folders that become empty, so that the tree stays as small as a bucket's.
    func remove(_ key: String) throws {
        guard unlink(path(key)) == 0 else {
            switch errno {
            case ENOENT, ENOTDIR: return try requireRoot()
            case EISDIR: return
            default: throw failure("deleting '\(key)'")
            }
        }
        var folder = Self.folder(of: key)
        while !folder.isEmpty, rmdir(path(folder)) == 0 { folder = Self.folder(of: folder) }
        let descriptor = open(path(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Another delete may have removed the folder meanwhile, and forces that to disk itself.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("deleting '\(key)'") }
    }

    private func missing(_ key: String) throws -> Failure {
        try requireRoot()
        return Failure(.objectNotFound, "'\(key)' is not in \(root)")
    }

    /// A missing root is an unmounted disk or a slip of the pen, never an empty repository.
    private func requireRoot() throws {
        if access(root, F_OK) != 0 { throw failure("opening it") }
    }

    /// The failure that `errno` means.
    func failure(_ action: String) -> Failure {
        let reason = String(cString: strerror(errno))
        switch errno {
        case ENOSPC, EDQUOT:
            return Failure(
                .storageFull, "\(root) is full: \(action): \(reason)",
                hint: "Free space there (see 'salvor prune'), or use another store.")
        case EACCES, EPERM, EROFS:
            return Failure(
                .storageDenied, "\(root) cannot be used: \(action): \(reason)",
                hint: "Let the user that runs salvor own the directory.")
        case ENOENT:
            return Failure(
                .storageUnreachable, "\(root) is not there: \(action): \(reason)",
                hint: "Mount the disk, or create the directory that is to hold the repository.")
        case ENOTDIR, EISDIR:
            return Failure(
                .storageFailed, "\(root): \(action): an object and a folder cannot share one name in a directory")
        default:
            return Failure(.storageFailed, "\(root): \(action): \(reason)")
        }
    }
}
