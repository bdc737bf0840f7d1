// SPDX-License-Identifier: Apache-2.0
import CLinux
public import Glibc

/// The atomic renames of Linux (renameat2(2)). File systems without them are refused by the kernel with `EINVAL`.
public enum Renaming {
    /// Exchanges two names in one step: at every moment both exist.
    ///
    /// - Throws: `SystemError`.
    public static func exchange(
        _ left: some Collection<UInt8>, in leftDirectory: Int32 = AT_FDCWD, _ right: some Collection<UInt8>,
        in rightDirectory: Int32 = AT_FDCWD
    ) throws {
        try call(left, leftDirectory, right, rightDirectory, SALVOR_RENAME_EXCHANGE, "exchange")
    }

    /// Renames, and fails with `EEXIST` when the new name is taken.
    ///
    /// - Throws: `SystemError`.
    public static func moveToFreeName(
        _ old: some Collection<UInt8>, in oldDirectory: Int32 = AT_FDCWD, _ new: some Collection<UInt8>,
        in newDirectory: Int32 = AT_FDCWD
    ) throws {
        try call(old, oldDirectory, new, newDirectory, SALVOR_RENAME_NOREPLACE, "rename")
    }

    /// Renames, and replaces what has the new name.
    ///
    /// - Throws: `SystemError`.
    public static func replace(
        _ old: some Collection<UInt8>, in oldDirectory: Int32 = AT_FDCWD, _ new: some Collection<UInt8>,
        in newDirectory: Int32 = AT_FDCWD
    ) throws {
        try call(old, oldDirectory, new, newDirectory, 0, "rename")
    }

    private static func call(
        _ left: some Collection<UInt8>, _ leftDirectory: Int32, _ right: some Collection<UInt8>,
        _ rightDirectory: Int32, _ flags: UInt32, _ name: String
    ) throws {
        let result = withCName(left) { left in
            withCName(right) { right in salvor_renameat2(leftDirectory, left, rightDirectory, right, flags) }
        }
        guard result == 0 else { throw SystemError(name, path: right) }
    }
}

/// Durability of many files at once.
public enum FileSystemSync {
    /// Writes everything of the file system that `descriptor` lies on to its device (syncfs(2)).
    ///
    /// - Throws: `SystemError`, also for an earlier write error that nobody was told of.
    public static func all(of descriptor: Int32, path: [UInt8]) throws {
        guard salvor_syncfs(descriptor) == 0 else { throw SystemError("sync", path: path) }
    }

    /// Makes names in a directory (or a file's content) durable.
    ///
    /// - Throws: `SystemError`.
    public static func one(_ descriptor: Int32, path: [UInt8]) throws {
        guard fsync(descriptor) == 0 else { throw SystemError("sync", path: path) }
    }
}
