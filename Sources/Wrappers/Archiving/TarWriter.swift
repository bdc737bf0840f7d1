// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import CArchive
import FileSystem

/// Writes a pax tar that GNU tar and bsdtar read with every attribute.
///
/// The bytes follow from the headers and the data alone: no access or change times, device or inode numbers are written,
/// so an unchanged tree gives an identical archive. Names are raw bytes: those that are not ASCII are marked
/// `hdrcharset=BINARY`, at which GNU tar says that it ignores the keyword and keeps the bytes, too.
/// All calls block and belong on one thread.
public final class TarWriter {
    private let archive: OpaquePointer
    private let entry: OpaquePointer
    private let output: TarOutput
    private var status = ArchiveStatus()
    private var remaining: UInt64 = 0
    private var isFinished = false
    private var userNames: [UInt32: [UInt8]] = [:]
    private var groupNames: [UInt32: [UInt8]] = [:]

    /// Begins an archive that goes to `sink` in large pieces.
    ///
    /// - Throws: `ArchiveError`.
    public init(into sink: any ByteSink) throws {
        guard let archive = archive_write_new(), let entry = archive_entry_new() else {
            throw ArchiveError.library(call: "archive_write_new", message: "out of memory")
        }
        self.archive = archive
        self.entry = entry
        output = TarOutput(sink)
        try check(archive_write_set_format_pax(archive), "archive_write_set_format_pax")
        // Only the attribute headers that GNU tar knows; by default libarchive writes its own beside them.
        try check(archive_write_set_options(archive, "xattrheader=SCHILY"), "archive_write_set_options")
        // No blocking factor: every byte is handed over at once, so that offsets are exact.
        try check(archive_write_set_bytes_per_block(archive, 0), "archive_write_set_bytes_per_block")
        try check(archive_write_set_bytes_in_last_block(archive, 1), "archive_write_set_bytes_in_last_block")
        try check(
            archive_write_open(
                archive, Unmanaged.passUnretained(output).toOpaque(), nil, { TarOutput.callback($0, $1, $2, $3) }, nil),
            "archive_write_open")
    }

    deinit {
        // An archive that was not finished must not get an end marker.
        if !isFinished { archive_write_fail(archive) }
        archive_write_free(archive)
        archive_entry_free(entry)
    }

    /// Bytes of archive so far. Between members: where the next one begins.
    public var offset: UInt64 { output.offset }

    /// What libarchive found noteworthy.
    public var warnings: [String] { status.warnings }

    /// Begins a member. `userName` and `groupName`, if empty, are looked up.
    ///
    /// - Throws: `ArchiveError`, or what the sink throws.
    public func begin(_ header: TarHeader) throws {
        let previous = salvor_use_c_locale()
        defer { salvor_use_locale(previous) }
        try fill(header)
        remaining = header.kind == .file ? header.size : 0
        // Names that are not ASCII are kept as they are, which libarchive takes for a failed translation.
        try check(archive_write_header(archive, entry), "archive_write_header", expectedWarning: "Can't translate ")
    }

    /// Adds to the data of a regular file: all bytes of its size, holes as zeros (which are not stored).
    ///
    /// - Throws: `ArchiveError`, or what the sink throws.
    public func write(_ data: UnsafeRawBufferPointer) throws {
        guard UInt64(data.count) <= remaining else {
            throw ArchiveError.library(call: "archive_write_data", message: "more data than the member's size")
        }
        var done = 0
        while done < data.count {
            let count = archive_write_data(archive, data.baseAddress?.advanced(by: done), data.count - done)
            guard count > 0 else {
                if let error = output.error { throw error }
                throw ArchiveError.library("archive_write_data", archive)
            }
            done += count
        }
        remaining -= UInt64(data.count)
    }

    /// Ends a member.
    ///
    /// - Throws: `ArchiveError`, also when bytes of its size are missing, or what the sink throws.
    public func end() throws {
        guard remaining == 0 else {
            throw ArchiveError.library(call: "archive_write_finish_entry", message: "\(remaining) bytes are missing")
        }
        try check(archive_write_finish_entry(archive), "archive_write_finish_entry")
    }

    /// Writes the end marker; nothing may follow. Returns the length of the archive.
    ///
    /// - Throws: `ArchiveError`, or what the sink throws.
    public func finish() throws -> UInt64 {
        try check(archive_write_close(archive), "archive_write_close")
        try output.flush()
        isFinished = true
        return output.offset
    }

    private func fill(_ header: TarHeader) throws {
        archive_entry_clear(entry)
        withCName(header.path) { archive_entry_copy_pathname(entry, $0) }
        archive_entry_set_mode(entry, header.mode)
        archive_entry_set_uid(entry, Int64(header.userID))
        archive_entry_set_gid(entry, Int64(header.groupID))
        withCName(name(of: header.userID, header.userName, &userNames, isGroup: false)) {
            archive_entry_copy_uname(entry, $0)
        }
        withCName(name(of: header.groupID, header.groupName, &groupNames, isGroup: true)) {
            archive_entry_copy_gname(entry, $0)
        }
        let (seconds, rest) = header.modified.quotientAndRemainder(dividingBy: 1_000_000_000)
        archive_entry_set_mtime(
            entry, Int(rest < 0 ? seconds - 1 : seconds), Int(rest < 0 ? rest + 1_000_000_000 : rest))
        archive_entry_set_size(entry, header.kind == .file ? Int64(header.size) : 0)
        switch header.kind {
        case .file: archive_entry_set_filetype(entry, 0o100000)
        case .directory: archive_entry_set_filetype(entry, 0o040000)
        case .fifo: archive_entry_set_filetype(entry, 0o010000)
        case .symbolicLink:
            archive_entry_set_filetype(entry, 0o120000)
            withCName(header.linkTarget) { archive_entry_copy_symlink(entry, $0) }
        case .hardLink:
            archive_entry_set_filetype(entry, 0o100000)
            withCName(header.linkTarget) { archive_entry_copy_hardlink(entry, $0) }
        case .characterDevice, .blockDevice:
            archive_entry_set_filetype(entry, header.kind == .characterDevice ? 0o020000 : 0o060000)
            archive_entry_set_rdevmajor(entry, UInt(header.deviceMajor))
            archive_entry_set_rdevminor(entry, UInt(header.deviceMinor))
        }
        for attribute in header.attributes {
            withCName(attribute.name) { name in
                attribute.value.withUnsafeBytes {
                    archive_entry_xattr_add_entry(entry, name, $0.baseAddress, $0.count)
                }
            }
        }
        if let list = header.accessACL {
            try AccessControlList.add(list, type: ARCHIVE_ENTRY_ACL_TYPE_ACCESS, to: entry, path: header.path)
        }
        if let list = header.defaultACL {
            try AccessControlList.add(list, type: ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, to: entry, path: header.path)
        }
        if let ranges = header.dataRanges {
            for range in ranges {
                archive_entry_sparse_add_entry(entry, Int64(range.lowerBound), Int64(range.count))
            }
            // A file that is one hole is said by an empty range.
            if ranges.isEmpty { archive_entry_sparse_add_entry(entry, 0, 0) }
        }
    }

    private func name(
        of id: UInt32, _ given: [UInt8], _ known: inout [UInt32: [UInt8]], isGroup: Bool
    ) -> [UInt8] {
        if !given.isEmpty { return given }
        if let name = known[id] { return name }
        let name = Accounts.name(of: id, isGroup: isGroup)
        known[id] = name
        return name
    }

    private func check(_ code: Int32, _ call: String, expectedWarning: String? = nil) throws {
        // The sink's own error says more than libarchive's.
        if code != ARCHIVE_OK, let error = output.error { throw error }
        try status.check(code, call, archive, expectedWarning: expectedWarning)
    }
}
