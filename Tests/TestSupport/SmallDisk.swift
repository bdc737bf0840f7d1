// SPDX-License-Identifier: Apache-2.0
public import Foundation
import Glibc

/// A file system of a few megabytes in memory, mounted over a folder until the value goes away. Only root may mount.
public final class SmallDisk: Sendable {
    /// Where it is mounted.
    public let path: String
    /// Removed after the disk is gone, not before.
    private let folder: TemporaryDirectory

    private init(_ path: String, _ folder: TemporaryDirectory) { (self.path, self.folder) = (path, folder) }

    deinit {
        // Lazily: a test that failed may still have something open there.
        _ = umount2(path, Int32(MNT_DETACH))
    }

    /// Mounts over `name` in `folder`, which is made if it is missing. Where mounting is not allowed it prints why and gives nil: the
    /// errors that a full disk gives are then tested by their numbers only.
    public static func mounted(at name: String, in folder: TemporaryDirectory, kibibytes: Int) throws -> SmallDisk? {
        let path = folder(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        do {
            try ShortCommand.run("mount", ["-t", "tmpfs", "-o", "size=\(kibibytes)k,mode=0700", "tmpfs", path])
        } catch {
            print("no small disk at \(path), so nothing was tested on it: \(error)")
            return nil
        }
        return SmallDisk(path, folder)
    }

    /// The same without extended attributes and ACLs, and without a limit: ramfs has neither.
    public static func withoutAttributes(at name: String, in folder: TemporaryDirectory) throws -> SmallDisk {
        let path = folder(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try ShortCommand.run("mount", ["-t", "ramfs", "-o", "mode=0700", "ramfs", path])
        return SmallDisk(path, folder)
    }

    /// Changes how it is mounted: `ro`, `rw`, `size=8m`.
    public func remount(_ options: String) throws {
        try ShortCommand.run("mount", ["-o", "remount,\(options)", path])
    }

    /// Bytes that are free.
    public func free() -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    /// Takes room with a file at the root until only so many bytes are free; gives the file's path.
    @discardableResult
    public func fill(leaving bytes: Int) throws -> String {
        let filler = "\(path)/filler"
        try? FileManager.default.removeItem(atPath: filler)  // there is none the first time
        let size = max(0, free() - bytes)
        try Data(count: size).write(to: URL(fileURLWithPath: filler))
        return filler
    }
}

/// Bytes that do not compress, the same for the same seed.
public func noise(_ count: Int, seed: UInt64 = 1) -> Data {
    var state = seed
    var data = Data(capacity: count + 8)
    while data.count < count {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        word ^= word >> 31
        withUnsafeBytes(of: word) { data.append(contentsOf: $0) }
    }
    return data.prefix(count)
}
