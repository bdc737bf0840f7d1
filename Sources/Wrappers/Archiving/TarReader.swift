// SPDX-License-Identifier: Apache-2.0
import CArchive
import FileSystem

/// Where an archive comes from. Calls block.
public protocol ByteSource: AnyObject {
    /// The next bytes, valid until the next call; nil at the proven end. An end that may be an accident must throw.
    func nextChunk() throws -> UnsafeRawBufferPointer?
}

/// Reads a tar member by member. The end counts only with its marker (two empty blocks and nothing but zeros after), so an
/// archive cut anywhere is an error. All calls block and belong on one thread.
public final class TarReader {
    private let archive: OpaquePointer
    private let input: TarInput
    private var status = ArchiveStatus()
    private var isAtEnd = false

    /// Begins to read.
    ///
    /// - Throws: `ArchiveError`, or what the source throws.
    public init(_ source: any ByteSource) throws {
        guard let archive = archive_read_new() else {
            throw ArchiveError.library(call: "archive_read_new", message: "out of memory")
        }
        self.archive = archive
        input = TarInput(source)
        try check(archive_read_support_filter_none(archive), "archive_read_support_filter_none")
        try check(archive_read_support_format_tar(archive), "archive_read_support_format_tar")
        try check(
            archive_read_open(
                archive, Unmanaged.passUnretained(input).toOpaque(), nil, { TarInput.callback($0, $1, $2) }, nil),
            "archive_read_open")
    }

    deinit {
        archive_read_free(archive)
    }

    /// The next member; nil once the whole archive was there. Data of the member before that was not read is passed over.
    ///
    /// - Throws: `ArchiveError`, or what the source throws.
    public func next() throws -> TarHeader? {
        guard !isAtEnd else { return nil }
        let previous = salvor_use_c_locale()
        defer { salvor_use_locale(previous) }
        var entry: OpaquePointer?
        let code = archive_read_next_header(archive, &entry)
        if code == ARCHIVE_EOF {
            try requireEndMarker()
            isAtEnd = true
            return nil
        }
        try check(code, "archive_read_next_header", expectedWarning: "can't be converted from")
        // A warning here means a header that libarchive could only read in part.
        if let warning = status.warnings.first { throw ArchiveError.damaged(warning) }
        guard let entry else { throw ArchiveError.library("archive_read_next_header", archive) }
        return try header(of: entry)
    }

    /// Gives the data of the current member in ascending pieces: offset within the file and bytes. Holes are left out.
    ///
    /// - Throws: `ArchiveError`, what the source throws, what `body` throws.
    public func readData(_ body: (UInt64, UnsafeRawBufferPointer) throws -> Void) throws {
        while true {
            var bytes: UnsafeRawPointer?
            var (count, offset) = (0, Int64(0))
            let code = archive_read_data_block(archive, &bytes, &count, &offset)
            if code == ARCHIVE_EOF { return }
            try check(code, "archive_read_data_block")
            guard offset >= 0 else { throw ArchiveError.damaged("a member with a negative offset") }
            if count > 0 { try body(UInt64(offset), UnsafeRawBufferPointer(start: bytes, count: count)) }
        }
    }

    private func requireEndMarker() throws {
        // libarchive takes the end of input for the end of an archive.
        let marker = UInt64(archive_read_header_position(archive))
        try input.drain()
        guard input.total >= marker + 1024, input.trailingZeros >= input.total - marker else {
            throw ArchiveError.damaged("a tar archive without its end marker, or with something after it")
        }
    }

    private func header(of entry: OpaquePointer) throws -> TarHeader {
        guard let name = archive_entry_pathname(entry), var path = Self.bytes(name) else {
            throw ArchiveError.damaged("a member without a name")
        }
        while path.count > 1, path.last == UInt8(ascii: "/") { path.removeLast() }
        var header = TarHeader(path: path, kind: .file)
        if let target = Self.bytes(archive_entry_hardlink(entry)) {
            header.kind = .hardLink
            header.linkTarget = target
        } else {
            switch archive_entry_filetype(entry) {
            case 0o100000: header.kind = .file
            case 0o040000: header.kind = .directory
            case 0o120000: header.kind = .symbolicLink
            case 0o010000: header.kind = .fifo
            case 0o020000: header.kind = .characterDevice
            case 0o060000: header.kind = .blockDevice
            default: throw ArchiveError.damaged("a member of an unknown kind: '\(PathText.display(path))'")
            }
            header.linkTarget = Self.bytes(archive_entry_symlink(entry)) ?? []
        }
        header.mode = archive_entry_perm(entry) & 0o7777
        guard let user = UInt32(exactly: archive_entry_uid(entry)),
            let group = UInt32(exactly: archive_entry_gid(entry)),
            let size = UInt64(exactly: archive_entry_size(entry))
        else { throw ArchiveError.damaged("a member with impossible numbers: '\(PathText.display(path))'") }
        (header.userID, header.groupID, header.size) = (user, group, header.kind == .file ? size : 0)
        header.userName = Self.bytes(archive_entry_uname(entry)) ?? []
        header.groupName = Self.bytes(archive_entry_gname(entry)) ?? []
        let (seconds, overflow) = Int64(archive_entry_mtime(entry)).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { throw ArchiveError.damaged("a member with an impossible time") }
        header.modified = seconds &+ Int64(archive_entry_mtime_nsec(entry))
        if header.kind == .characterDevice || header.kind == .blockDevice {
            header.deviceMajor = UInt32(truncatingIfNeeded: archive_entry_rdevmajor(entry))
            header.deviceMinor = UInt32(truncatingIfNeeded: archive_entry_rdevminor(entry))
        }
        if archive_entry_xattr_reset(entry) > 0 { header.attributes = Self.attributes(of: entry) }
        if header.kind == .file { header.dataRanges = Self.dataRanges(of: entry) }
        header.accessACL = try AccessControlList.take(type: ARCHIVE_ENTRY_ACL_TYPE_ACCESS, from: entry)
        header.defaultACL = try AccessControlList.take(type: ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, from: entry)
        return header
    }

    private static func attributes(of entry: OpaquePointer) -> [TarHeader.Attribute] {
        var attributes: [TarHeader.Attribute] = []
        while true {
            var (name, value): (UnsafePointer<CChar>?, UnsafeRawPointer?) = (nil, nil)
            var size = 0
            guard archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK, let name = bytes(name) else {
                return attributes.sorted { $0.name.lexicographicallyPrecedes($1.name) }
            }
            attributes.append(
                TarHeader.Attribute(name: name, value: Array(UnsafeRawBufferPointer(start: value, count: size))))
        }
    }

    /// Where a sparse file has data; nil when it has no holes.
    private static func dataRanges(of entry: OpaquePointer) -> [Range<UInt64>]? {
        guard archive_entry_sparse_reset(entry) > 0 else { return nil }
        var ranges: [Range<UInt64>] = []
        while true {
            var (offset, length) = (Int64(0), Int64(0))
            guard archive_entry_sparse_next(entry, &offset, &length) == ARCHIVE_OK else { return ranges }
            if offset >= 0, length > 0, !offset.addingReportingOverflow(length).overflow {
                ranges.append(UInt64(offset)..<UInt64(offset + length))
            }
        }
    }

    private static func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8]? {
        guard let text else { return nil }
        var bytes: [UInt8] = []
        var position = text
        while position.pointee != 0 {
            bytes.append(UInt8(bitPattern: position.pointee))
            position += 1
        }
        return bytes
    }

    private func check(_ code: Int32, _ call: String, expectedWarning: String? = nil) throws {
        // The source's own error says more than libarchive's.
        if code != ARCHIVE_OK, let error = input.error { throw error }
        try status.check(code, call, archive, expectedWarning: expectedWarning)
    }
}
