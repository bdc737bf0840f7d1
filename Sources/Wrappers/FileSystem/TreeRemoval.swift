// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Removes trees without ever leaving them: every step is relative to an open directory and follows no link.
public enum TreeRemoval {
    /// Removes `name` in `directory` and, for a directory, everything in it; succeeds when there is no such name.
    /// Directories whose mode forbids it are opened up first. Another file system mounted inside is an error.
    ///
    /// - Throws: `SystemError`.
    public static func remove(_ name: [UInt8], in directory: Int32) throws {
        guard let status = try FileStatus.find(name, in: directory) else { return }
        guard status.kind == .directory else {
            if withCName(name, { unlinkat(directory, $0, 0) }) != 0, errno != ENOENT {
                throw SystemError("remove", path: name)
            }
            return
        }
        if status.mode & 0o700 != 0o700, status.userID == geteuid() {
            // Fails only where the removal will fail and say so.
            _ = withCName(name) { fchmodat(directory, $0, 0o700, 0) }
        }
        let inner = try Descriptor.directory(name, in: directory)
        guard try FileStatus.of(inner.raw, path: name).device == status.device else {
            throw SystemError("remove", path: name, code: EXDEV)
        }
        let listing = DirectoryListing()
        try listing.read(inner.raw, path: name)
        for index in 0..<listing.count { try remove(Array(listing.bytes(at: index)), in: inner.raw) }
        if withCName(name, { unlinkat(directory, $0, AT_REMOVEDIR) }) != 0, errno != ENOENT {
            throw SystemError("remove", path: name)
        }
    }
}
