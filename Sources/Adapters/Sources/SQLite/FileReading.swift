// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// Reads files and asks for room. Calls block.
enum FileReading {
    /// Gives the file's bytes in chunks of up to 1 MiB.
    static func forEachChunk(of path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure.system("open", path, errno) }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw Failure.system("read", path, errno) }
            if count == 0 { return }
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Bytes that this user may still write in `directory`.
    static func freeBytes(_ directory: String) throws -> UInt64 {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else { throw Failure.system("look at", directory, errno) }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}
