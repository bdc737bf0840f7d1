// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc
import Synchronization

/// A file only its owner can read, in which a stream waits until all of it is checked. Calls block.
final class SpoolFile: Sendable {
    private let path: String
    private let descriptor: Int32
    private let digest = Mutex(RunningSHA256())

    /// Makes the file anew; one left by an earlier attempt is removed.
    init(_ path: String) throws {
        self.path = path
        unlink(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("create", path) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        digest.withLock { $0.update(bytes) }
    }

    /// Makes it durable; what was written.
    func finish() throws -> StreamReceipt {
        guard fsync(descriptor) == 0 else { throw Self.failure("sync", path) }
        return digest.withLock { StreamReceipt(length: $0.length, sha256: $0.finish()) }
    }

    /// Gives a file's bytes in chunks of up to 1 MiB; returns how many there were.
    static func forEachChunk(of path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> UInt64 {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var total: UInt64 = 0
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return total }
            total += UInt64(count)
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    /// Bytes that this user may still write in a folder, or where it will be made; nil when it cannot be known.
    static func freeBytes(_ folder: String) -> UInt64? {
        var (path, status) = (folder, statvfs())
        while !path.isEmpty, statvfs(path, &status) != 0 {
            guard errno == ENOENT else { return nil }
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        }
        return path.isEmpty ? nil : UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    private static func failure(_ verb: String, _ path: String) -> Failure {
        let code: Failure.Code = errno == ENOSPC || errno == EDQUOT ? .localSpace : .localInput
        return Failure(code, "unable to \(verb) '\(path)': \(String(cString: strerror(errno)))")
    }
}
