// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Which files a promotion puts into a live tree one by one, kept beside the journal so that they can be taken out again
/// without the bundle. Its names are those of the live tree, so it is of mode 0600.
///
/// One member after another: `d` or `f`, the path, a zero byte; at the end `e`, the number of members, a zero byte.
enum MergeList {
    /// One chosen member: its path relative to the root.
    struct Member: Sendable, Equatable {
        var path: [UInt8]
        var isDirectory: Bool
    }

    /// Where the list of a restore's n-th root is.
    static func path(_ root: Int, in place: RestorePlace) -> String { "\(place.keepDirectory)/members-\(root)" }

    /// Writes the list, durably. Blocks.
    static func write(_ members: [Member], to path: String) throws {
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw SystemError("make directory", path: Array(directory.utf8))
        }
        var bytes: [UInt8] = []
        for member in members {
            bytes.append(UInt8(ascii: member.isDirectory ? "d" : "f"))
            bytes += member.path
            bytes.append(0)
        }
        bytes += Array("e\(members.count)".utf8) + [0]
        let temporary = Array((path + ".new").utf8)
        let raw = withCName(temporary) { Glibc.open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard raw >= 0 else { throw SystemError("make", path: temporary) }
        let file = Descriptor(owning: raw)
        try bytes.withUnsafeBytes { try file.write($0, path: temporary) }
        try FileSystemSync.one(file.raw, path: temporary)
        guard rename(path + ".new", path) == 0 else { throw SystemError("rename", path: temporary) }
        let folder = try Descriptor.directory(Array(directory.utf8), followingLinks: true)
        try FileSystemSync.one(folder.raw, path: Array(directory.utf8))
    }

    /// Reads the list. Blocks.
    ///
    /// - Throws: `Failure(.stateDamaged)` when it is not there or not whole.
    static func read(_ path: String) throws -> [Member] {
        let raw = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard raw >= 0 else {
            guard errno == ENOENT else { throw SystemError("open", path: Array(path.utf8)) }
            throw Failure(
                .stateDamaged, "the list of restored files '\(path)' is gone",
                hint: "What was there before is beside the restored folder, in one whose name has 'before' and the "
                    + "restore's id: copy it back by hand.")
        }
        let file = Descriptor(owning: raw)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file.raw, &buffer, buffer.count)
            guard count >= 0 else { throw SystemError("read", path: Array(path.utf8)) }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        let damage = Failure(.stateDamaged, "the list of restored files '\(path)' is damaged")
        var entries = bytes.split(separator: 0, omittingEmptySubsequences: false)
        guard entries.popLast()?.isEmpty == true, let end = entries.popLast(),
            end.elementsEqual("e\(entries.count)".utf8)
        else { throw damage }
        return try entries.map { entry in
            guard let kind = entry.first, [UInt8(ascii: "d"), UInt8(ascii: "f")].contains(kind), entry.count > 1 else {
                throw damage
            }
            return Member(path: Array(entry.dropFirst()), isDirectory: kind == UInt8(ascii: "d"))
        }
    }
}
