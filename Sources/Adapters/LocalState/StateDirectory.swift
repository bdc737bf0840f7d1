// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc

/// The host's own notes (`/var/lib/salvor`): locks, the chain's last link, local bases, restore journals. All of it is a
/// cache or a journal: losing it costs one full backup, never correctness, and no restore reads a backup's notes.
///
/// Files are replaced atomically (write, fsync, rename) with mode 0600 in folders of mode 0700.
public struct StateDirectory: Sendable {
    /// Absolute path without a trailing slash.
    public let path: String

    public init(_ path: String) {
        self.path = path
    }

    /// The path of `name` below this one.
    public func below(_ name: String) -> StateDirectory { StateDirectory("\(path)/\(name)") }

    /// Makes the folder and those above it.
    ///
    /// - Throws: `Failure(.localInput)`.
    public func create() throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                .localInput, "unable to make the state folder '\(path)': \(Self.reason(error))",
                hint: "Make it writable, or name another with --state-dir.")
        }
    }

    /// A file's bytes; nil when it is not there.
    ///
    /// - Throws: `Failure(.localInput)` when it is there and cannot be read.
    public func read(_ name: String) throws -> [UInt8]? {
        let file = "\(path)/\(name)"
        let descriptor = Glibc.open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw Self.failure("read", file)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("read", file) }
        // Files are replaced, never written again: the size stands.
        let size = Int(status.st_size)
        return try LargeArrays.make(size) { buffer, filled in
            while filled < size, let start = buffer.baseAddress {
                let count = Glibc.read(descriptor, start + filled, size - filled)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Self.failure("read", file) }
                // An end that comes early is not the end.
                guard count > 0 else { throw Failure(.localInput, "'\(file)' became shorter while it was read") }
                filled += count
            }
        }
    }

    /// Replaces a file durably.
    ///
    /// - Throws: `Failure(.localSpace)` when the disk is full, `Failure(.localInput)` otherwise.
    public func write(_ name: String, _ bytes: [UInt8], durable: Bool = true) throws {
        try create()
        let file = "\(path)/\(name)"
        let temporary = "\(path)/.\(name).\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("write", file) }
        var succeeded = false
        defer {
            if !succeeded { unlink(temporary) }
        }
        do {
            defer { close(descriptor) }
            var written = 0
            while written < bytes.count {
                let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                guard count >= 0 else { throw Self.failure("write", file) }
                written += count
            }
            if durable, fsync(descriptor) != 0 { throw Self.failure("write", file) }
        }
        guard rename(temporary, file) == 0 else { throw Self.failure("write", file) }
        succeeded = true
        if durable { try syncFolder() }
    }

    /// Removes a file or folder; succeeds when it is not there.
    public func remove(_ name: String) throws {
        let file = "\(path)/\(name)"
        var status = stat()
        guard lstat(file, &status) == 0 else { return }
        do {
            try FileManager.default.removeItem(atPath: file)
        } catch {
            throw Failure(.localInput, "unable to remove '\(file)': \(Self.reason(error))")
        }
    }

    /// Names in the folder, sorted; empty when it is not there.
    public func names() throws -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            throw Failure(.localInput, "unable to list '\(path)': \(Self.reason(error))")
        }
    }

    private func syncFolder() throws {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure("sync", path) }
    }

    private static func failure(_ verb: String, _ file: String) -> Failure {
        let error = errno
        return Failure(
            error == ENOSPC || error == EDQUOT ? .localSpace : .localInput,
            "unable to \(verb) '\(file)': \(String(cString: strerror(error)))")
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let underlying, underlying.domain == NSPOSIXErrorDomain else { return error.localizedDescription }
        return String(cString: strerror(Int32(underlying.code)))
    }
}
