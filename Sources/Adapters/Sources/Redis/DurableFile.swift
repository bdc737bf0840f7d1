// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A file of mode 0600 that gets its name only when all of it is on disk. Calls block.
final class DurableFile: Sendable {
    private let path: String
    private let descriptor: Int32

    private var partial: String { path + ".part" }

    /// Begins a file; what an earlier attempt left is overwritten.
    init(_ path: String) throws {
        self.path = path
        descriptor = open(path + ".part", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("create", path) }
    }

    deinit {
        close(descriptor)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write", path) }
            written += count
        }
    }

    /// Makes the bytes durable, then the name.
    func commit() throws {
        guard fsync(descriptor) == 0, rename(partial, path) == 0 else { throw Self.failure("write", path) }
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let folder = open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Self.failure("open", parent) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw Self.failure("write", parent) }
    }

    /// Writes a whole small file.
    static func write(_ text: String, to path: String) throws {
        let file = try DurableFile(path)
        try Array(text.utf8).withUnsafeBytes { try file.write($0) }
        try file.commit()
    }

    /// The size of the file at `path`; nil when there is none.
    static func size(of path: String) -> UInt64? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return UInt64(status.st_size)
    }

    private static func failure(_ verb: String, _ path: String) -> Failure {
        let code: Failure.Code = errno == ENOSPC || errno == EDQUOT ? .localSpace : .localInput
        return Failure(code, "unable to \(verb) '\(path)': \(String(cString: strerror(errno)))")
    }
}
