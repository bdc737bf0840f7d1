// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// What `stat` tells of a file.
public struct FileStatus: Sendable {
    /// What kind of file it is.
    public enum Kind: Sendable, Equatable {
        case file, directory, symbolicLink, fifo, socket, characterDevice, blockDevice, other
    }

    public let value: stat

    public init(_ value: stat) {
        self.value = value
    }

    /// The status of `name` in `directory`, not following a symbolic link; nil when there is no such name (or a part
    /// before it is missing or no directory).
    ///
    /// - Throws: `SystemError` for anything else.
    public static func find(_ name: UnsafePointer<CChar>, in directory: Int32 = AT_FDCWD) throws -> FileStatus? {
        var value = stat()
        if fstatat(directory, name, &value, AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(value) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw SystemError(
            "stat", path: UnsafeBufferPointer(start: name, count: strlen(name)).map(UInt8.init(bitPattern:)))
    }

    /// The same for a name in bytes.
    public static func find(_ name: some Collection<UInt8>, in directory: Int32 = AT_FDCWD) throws -> FileStatus? {
        try withCName(name) { try find($0, in: directory) }
    }

    /// The status of an open file.
    ///
    /// - Throws: `SystemError`.
    public static func of(_ descriptor: Int32, path: @autoclosure () -> [UInt8]) throws -> FileStatus {
        var value = stat()
        guard fstat(descriptor, &value) == 0 else { throw SystemError("stat", path: path()) }
        return FileStatus(value)
    }

    public var kind: Kind {
        switch value.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        case S_IFLNK: .symbolicLink
        case S_IFIFO: .fifo
        case S_IFSOCK: .socket
        case S_IFCHR: .characterDevice
        case S_IFBLK: .blockDevice
        default: .other
        }
    }

    /// Permission bits with set-user-id, set-group-id and sticky (07777).
    public var mode: UInt32 { value.st_mode & 0o7777 }
    public var userID: UInt32 { value.st_uid }
    public var groupID: UInt32 { value.st_gid }
    public var size: UInt64 { UInt64(max(0, value.st_size)) }
    public var inode: UInt64 { UInt64(value.st_ino) }
    public var device: UInt64 { UInt64(value.st_dev) }
    public var links: UInt64 { UInt64(value.st_nlink) }
    /// Nanoseconds since 1970 of the last change of the content.
    public var modified: Int64 { Self.nanoseconds(value.st_mtim) }
    /// Nanoseconds since 1970 of the last change of the inode.
    public var changed: Int64 { Self.nanoseconds(value.st_ctim) }
    /// Whether fewer blocks are allocated than the size needs.
    public var mayHaveHoles: Bool { Int64(value.st_blocks) * 512 < Int64(value.st_size) }

    /// Whether `self` and `other` are the same file.
    public func isSameFile(as other: FileStatus) -> Bool { inode == other.inode && device == other.device }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
