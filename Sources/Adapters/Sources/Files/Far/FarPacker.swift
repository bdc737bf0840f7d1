// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Synchronization

/// Writes what a far `tar` sends into an archive of ours, and lists it.
final class FarPacker {
    /// One file that is to be stored.
    struct Wanted: Sendable {
        var path: [UInt8]
        var status: FileStatus
        /// A member of the base that is the same inode: then nothing is read of it.
        var linkTarget: [UInt8]?
    }

    private(set) var table = MemberTable()
    private(set) var counts = TreeCounts()
    private(set) var warnings: [String] = []
    /// What the far `tar` left out.
    private(set) var missing: [[UInt8]] = []
    private let writer: TarWriter
    private let flag: CancellationFlag
    private let zeros = [UInt8](repeating: 0, count: 256 << 10)

    init(into sink: any ByteSink, _ flag: CancellationFlag) throws {
        writer = try TarWriter(into: sink)
        self.flag = flag
    }

    /// Writes a file that is in no list, before all members.
    func packUnlisted(path: [UInt8], content: [UInt8]) throws {
        var header = TarHeader(path: path, kind: .file)
        header.mode = 0o600
        header.size = UInt64(content.count)
        try writer.begin(header)
        try content.withUnsafeBytes { try writer.write($0) }
        try writer.end()
    }

    /// Writes the members of one far archive, which has those of `wanted` in that order.
    ///
    /// - Parameter begun: when the listing began: what changed later is listed so that it is stored again next time.
    func pack(_ wanted: [Wanted], from archive: any ByteSource, begun: Int64) throws {
        var next = wanted.startIndex
        /// Writes links that need no data, and notes what was left out, up to the member of this path.
        func advance(to path: [UInt8]?) throws {
            while next < wanted.endIndex, wanted[next].path != path {
                if let target = wanted[next].linkTarget {
                    try packLink(wanted[next], to: target, begun)
                } else {
                    missing.append(wanted[next].path)
                }
                next += 1
            }
        }
        if wanted.contains(where: { $0.linkTarget == nil }) {
            let reader = try TarReader(archive)
            while var header = try reader.next() {
                try flag.check()
                try advance(to: header.path)
                guard next < wanted.endIndex else {
                    throw Failure(
                        .sourceFailed, "the far 'tar' sent '\(PathText.display(header.path))', which was not asked for")
                }
                Self.takeAccessLists(&header)
                // Else the name of whoever has the number here would be put in.
                if header.userName.isEmpty { header.userName = Array(String(header.userID).utf8) }
                if header.groupName.isEmpty { header.groupName = Array(String(header.groupID).utf8) }
                try pack(header, wanted[next].status, reader, begun)
                next += 1
            }
        }
        try advance(to: nil)
    }

    /// GNU tar sends access control lists as extended attributes too, with numbers in the place of names.
    static func takeAccessLists(_ header: inout TarHeader) {
        header.attributes.removeAll { attribute in
            if attribute.name.elementsEqual("system.posix_acl_access".utf8) {
                header.accessACL = attribute.value
            } else if attribute.name.elementsEqual("system.posix_acl_default".utf8) {
                header.defaultACL = attribute.value
            } else {
                return false
            }
            return true
        }
    }

    /// Writes the end; returns the length of the archive.
    func finish() throws -> UInt64 {
        warnings = writer.warnings
        return try writer.finish()
    }

    private func pack(_ header: TarHeader, _ status: FileStatus, _ reader: TarReader, _ begun: Int64) throws {
        let offset = writer.offset
        try writer.begin(header)
        var digest = RunningSHA256()
        if header.kind == .file {
            var position: UInt64 = 0
            try reader.readData { start, bytes in
                try flag.check()
                guard start >= position, start + UInt64(bytes.count) <= header.size else {
                    throw ArchiveError.damaged("a member with more data than its size")
                }
                try fill(start - position, &digest)
                digest.update(bytes)
                try writer.write(bytes)
                position = start + UInt64(bytes.count)
            }
            try fill(header.size - position, &digest)
        }
        try writer.end()
        list(header, status, offset: offset, digest: header.kind == .file ? digest.finish() : nil, begun)
    }

    /// Writes zeros for a hole.
    private func fill(_ count: UInt64, _ digest: inout RunningSHA256) throws {
        var rest = count
        while rest > 0 {
            let piece = Int(min(rest, UInt64(zeros.count)))
            try zeros.withUnsafeBytes {
                let bytes = UnsafeRawBufferPointer(rebasing: $0[..<piece])
                digest.update(bytes)
                try writer.write(bytes)
            }
            rest -= UInt64(piece)
        }
    }

    private func packLink(_ file: Wanted, to target: [UInt8], _ begun: Int64) throws {
        guard var header = TarHeader(path: file.path, status: file.status) else { return }
        header.kind = .hardLink
        header.size = 0
        header.linkTarget = target
        header.userName = Array(String(header.userID).utf8)
        header.groupName = Array(String(header.groupID).utf8)
        let offset = writer.offset
        try writer.begin(header)
        try writer.end()
        list(header, file.status, offset: offset, digest: nil, begun)
    }

    private func list(
        _ header: TarHeader, _ status: FileStatus, offset: UInt64, digest: SHA256Digest?, _ begun: Int64
    ) {
        counts.add(header.memberKind, size: header.size)
        let isRecent = status.changed > begun - RecentChange.nanoseconds
        table.append(
            TreeMember(
                path: header.path, kind: header.memberKind, mode: header.mode, userID: header.userID,
                groupID: header.groupID, size: header.size, modified: header.modified,
                changed: isRecent ? 0 : status.changed, inode: status.inode, offset: offset,
                length: writer.offset - offset, sha256: digest))
    }
}
