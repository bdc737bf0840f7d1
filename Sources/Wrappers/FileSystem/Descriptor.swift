// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// An open file or directory, closed when the value goes away. Everything here is opened close-on-exec.
public final class Descriptor: Sendable {
    /// The number, valid as long as this object lives.
    public let raw: Int32

    /// Takes over an open descriptor.
    public init(owning raw: Int32) {
        self.raw = raw
    }

    deinit {
        // Nothing is written after the last check of a write, so an error of close says nothing new.
        _ = close(raw)
    }

    /// Opens `name` relative to `directory` (`AT_FDCWD` for the working directory), never following a last symbolic link.
    ///
    /// - Throws: `SystemError`.
    public static func open(
        _ name: some Collection<UInt8>, in directory: Int32 = AT_FDCWD, _ flags: Int32, mode: mode_t = 0
    ) throws -> Descriptor {
        let raw = withCName(name) { openat(directory, $0, flags | O_NOFOLLOW | O_CLOEXEC, mode) }
        guard raw >= 0 else { throw SystemError("open", path: name) }
        return Descriptor(owning: raw)
    }

    /// Opens a directory for reading and as a base of relative names.
    ///
    /// - Parameter followingLinks: whether `path` may itself be a symbolic link (its earlier parts may in any case).
    /// - Throws: `SystemError`.
    public static func directory(
        _ path: some Collection<UInt8>, in directory: Int32 = AT_FDCWD, followingLinks: Bool = false
    ) throws -> Descriptor {
        let follow = followingLinks ? 0 : O_NOFOLLOW
        let raw = withCName(path) { openat(directory, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow) }
        guard raw >= 0 else { throw SystemError("open directory", path: path) }
        return Descriptor(owning: raw)
    }

    /// Writes all of `bytes`.
    ///
    /// - Throws: `SystemError`.
    public func write(_ bytes: UnsafeRawBufferPointer, path: some Sequence<UInt8>) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(raw, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("write", path: path)
            }
            done += count
        }
    }
}
