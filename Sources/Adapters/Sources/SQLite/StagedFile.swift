// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A new file beside the live database, private until it is finished. Calls block.
final class StagedFile: Sendable {
    private let path: String
    private let descriptor: Int32

    /// Begins the file anew; what an earlier attempt left is removed.
    init(_ path: String) throws {
        self.path = path
        for suffix in [""] + DatabaseFile.companions where unlink(path + suffix) != 0 && errno != ENOENT {
            throw Failure.system("remove", path + suffix, errno)
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure.system("create", path, errno) }
    }

    deinit {
        close(descriptor)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Failure.system("write", path, errno) }
            written += count
        }
    }

    /// Gives the file its owner and mode and makes it durable. A restored file of another owner would lock its
    /// application out; without the right to give it away it keeps the caller's, which the plan warns of.
    func finish(user: UInt32?, group: UInt32?, mode: UInt32?) throws {
        if let user, let group, fchown(descriptor, user, group) != 0, errno != EPERM {
            throw Failure.system("give away", path, errno)
        }
        if let mode, fchmod(descriptor, mode) != 0 { throw Failure.system("set the mode of", path, errno) }
        guard fsync(descriptor) == 0 else { throw Failure.system("sync", path, errno) }
    }
}
