// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Programs
import Synchronization

/// A GnuPG folder of our own, mode 0700, removed with all it holds. A gpg-agent that was started for it ends by itself
/// when the folder goes (it watches it), and is told to by `close`.
final class PrivateHome: Sendable {
    /// Absolute path without a trailing slash.
    let path: String
    private let isOpen = Mutex(true)
    // Locked for as long as this process lives, which is how the folders of killed runs are told from those in use.
    private let lock: Int32
    private static let lockName = "in-use"

    /// Makes one, and removes what killed runs of this user left beside it: a killed process cannot tidy up after itself.
    ///
    /// - Parameter base: where to make it; nil: the temporary folder.
    /// - Throws: `EncryptionError.file`.
    init(prefix: String, in base: String? = nil) throws {
        let base = base ?? FileManager.default.temporaryDirectory.path
        Self.removeAbandoned(prefix: prefix, in: base)
        var made = try Self.make("\(base)/\(prefix)-XXXXXX")
        // Between its making and its locking, a folder looks abandoned to others: one that was lost so is made again.
        // Where nothing can be locked, nothing is taken for abandoned.
        for _ in 0..<3 where made.lock < 0 {
            Self.remove(made.path)
            made = try Self.make("\(base)/\(prefix)-XXXXXX")
        }
        (path, lock) = made
    }

    private static func make(_ pattern: String) throws -> (path: String, lock: Int32) {
        // mkdtemp makes it with mode 0700 and a name nobody could plant before.
        var template = Array(pattern.utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        guard let made else {
            throw EncryptionError.file(path: pattern, call: "create", reason: String(cString: strerror(errno)))
        }
        return (made, takeLock("\(made)/\(lockName)", O_CREAT))
    }

    deinit {
        if isOpen.withLock({ $0 }) { Self.remove(path) }
        if lock >= 0 { Glibc.close(lock) }
    }

    private static func removeAbandoned(prefix: String, in base: String) {
        // Whatever cannot be listed or opened is not ours to remove.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? [] {
            guard name.hasPrefix("\(prefix)-") else { continue }
            var info = stat()
            let path = "\(base)/\(name)"
            guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR, info.st_uid == getuid() else { continue }
            let lock = takeLock("\(path)/\(lockName)", 0)
            guard lock >= 0 else { continue }
            remove(path)
            Glibc.close(lock)
        }
    }

    /// A descriptor that holds the lock; -1 when another process has it, or there is no such file, or no longer.
    private static func takeLock(_ path: String, _ flags: Int32) -> Int32 {
        let descriptor = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0o600)
        guard descriptor >= 0 else { return -1 }
        var (opened, found) = (stat(), stat())
        // What is locked must still be what is there: it may have been removed between opening and locking.
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &opened) == 0, lstat(path, &found) == 0,
            opened.st_ino == found.st_ino, opened.st_dev == found.st_dev
        {
            return descriptor
        }
        Glibc.close(descriptor)
        return -1
    }

    /// Writes a file of mode 0600 into it.
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.unwritable(file) }
        defer { Glibc.close(descriptor) }
        // Not forced to disk: nobody needs it after this process.
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.unwritable(file) }
            done += count
        }
        return file
    }

    private static func unwritable(_ file: String) -> EncryptionError {
        EncryptionError.file(path: file, call: "write", reason: String(cString: strerror(errno)))
    }

    /// Ends the agents of this folder and removes it, also when the task was cancelled. Harmless when done twice.
    func close() async {
        guard
            isOpen.withLock({ isOpen in
                defer { isOpen = false }
                return isOpen
            })
        else { return }
        // A task of its own, since a cancelled one cannot start programs.
        await Task { [path] in
            for action in [["--kill", "all"], ["--remove-socketdir"]] {
                // When it fails, removing the folder still ends the agent.
                _ = try? await ChildProgram.run("gpgconf", ["--homedir", path] + action) { pipes in
                    try pipes.closeInput()
                }
            }
        }.value
        Self.remove(path)
    }

    private static func remove(_ path: String) {
        // An agent that is just ending may remove its sockets under our hands: once more then.
        for _ in 0..<5 {
            do {
                try FileManager.default.removeItem(atPath: path)
                return
            } catch {
                if access(path, F_OK) != 0 { return }
            }
        }
    }
}
