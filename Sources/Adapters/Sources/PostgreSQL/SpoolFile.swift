// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A file only its owner can read, into which an archive is written before pg_restore reads it with several workers.
final class SpoolFile: Sendable {
    let path: String
    private let descriptor: Int32

    /// Makes the file anew; one left by an earlier attempt is removed.
    ///
    /// - Throws: `Failure(.localInput)`.
    init(_ path: String) throws {
        self.path = path
        unlink(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit { close(descriptor) }

    /// Writes all of `bytes`; blocks.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Removes the file.
    func remove() { unlink(path) }

    private static func failure(_ path: String) -> Failure {
        let reason = String(cString: strerror(errno))
        return Failure(errno == ENOSPC ? .localSpace : .localInput, "unable to write '\(path)': \(reason)")
    }
}
