// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// What `find` tells of one tree, in walk order.
struct FarListing: Sendable {
    /// One file.
    struct Entry: Sendable {
        fileprivate var start: Int
        fileprivate var end: Int
        var kind: UInt32
        var mode: UInt32
        var userID: UInt32
        var groupID: UInt32
        var size: UInt64
        var modified: Int64
        var changed: Int64
        var inode: UInt64
        var links: UInt64
        var device: UInt64

        /// The same as the kernel tells it.
        var status: FileStatus {
            var value = stat()
            value.st_mode = kind | mode
            value.st_uid = userID
            value.st_gid = groupID
            value.st_size = Int(clamping: size)
            value.st_mtim = Self.time(modified)
            value.st_ctim = Self.time(changed)
            value.st_ino = UInt(inode)
            value.st_nlink = UInt(links)
            value.st_dev = UInt(device)
            return FileStatus(value)
        }

        private static func time(_ nanoseconds: Int64) -> timespec {
            let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
            return rest < 0
                ? timespec(tv_sec: Int(seconds) - 1, tv_nsec: Int(rest) + 1_000_000_000)
                : timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
        }
    }

    private var bytes: [UInt8] = []
    private(set) var entries: [Entry] = []
    /// Nanoseconds since 1970 by the far clock, before anything was looked at.
    private(set) var begun: Int64 = 0
    /// What was read and is no whole record yet.
    private var rest: [UInt8] = []

    /// Begins with the clock, each file follows: fields separated by blanks, the path last, NUL.
    static let script = """
        date +%s%N && exec find "$@" -printf '%y %m %U %G %s %T@ %C@ %i %n %D %p\\0'
        """

    /// Takes more of the output.
    mutating func take(_ chunk: UnsafeRawBufferPointer) throws {
        rest.append(contentsOf: chunk)
        var start = rest.startIndex
        if begun == 0 {
            guard let newline = rest.firstIndex(of: 10) else { return }
            guard let clock = Int64(String(decoding: rest[..<newline], as: UTF8.self)), clock > 0 else {
                throw Failure(.sourceFailed, "the far 'date' does not tell nanoseconds")
            }
            begun = clock
            start = newline + 1
        }
        while let end = rest[start...].firstIndex(of: 0) {
            try add(rest[start..<end])
            start = end + 1
        }
        rest.removeFirst(start)
    }

    /// Ends the listing and puts it into walk order.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the output is not whole.
    mutating func finish() throws {
        guard rest.isEmpty, begun > 0 else { throw Failure(.sourceFailed, "the far 'find' ended within a line") }
        bytes.withUnsafeBufferPointer { all in
            func path(_ entry: Entry) -> UnsafeBufferPointer<UInt8> {
                UnsafeBufferPointer(rebasing: all[entry.start..<entry.end])
            }
            entries.sort { WalkOrder.compare(path($0), path($1)) < 0 }
        }
    }

    /// Calls `body` with every file: its path without the leading slash, which is valid only meanwhile.
    func forEach(_ body: (UnsafeBufferPointer<UInt8>, Entry) throws -> Void) throws {
        try bytes.withUnsafeBufferPointer { all in
            for entry in entries { try body(UnsafeBufferPointer(rebasing: all[entry.start..<entry.end]), entry) }
        }
    }

    private mutating func add(_ record: ArraySlice<UInt8>) throws {
        let parts = record.split(separator: 0x20, maxSplits: 10, omittingEmptySubsequences: false)
        func number<Value: FixedWidthInteger>(_ index: Int, radix: Int = 10) -> Value? {
            Value(String(decoding: parts[index], as: UTF8.self), radix: radix)
        }
        guard parts.count == 11, let letter = parts[0].first, let kind = Self.kind(letter),
            let mode: UInt32 = number(1, radix: 8), let user: UInt32 = number(2), let group: UInt32 = number(3),
            let size: UInt64 = number(4), let modified = Self.nanoseconds(parts[5]),
            let changed = Self.nanoseconds(parts[6]), let inode: UInt64 = number(7), let links: UInt64 = number(8),
            let device: UInt64 = number(9), parts[10].first == UInt8(ascii: "/")
        else {
            throw Failure(
                .sourceFailed,
                "the far 'find' printed a line that cannot be read: \(PathText.display(Array(record.prefix(200))))")
        }
        let start = bytes.count
        bytes.append(contentsOf: parts[10].drop { $0 == UInt8(ascii: "/") })
        entries.append(
            Entry(
                start: start, end: bytes.count, kind: kind, mode: mode & 0o7777, userID: user, groupID: group,
                size: kind == S_IFREG ? size : 0, modified: modified, changed: changed, inode: inode, links: links,
                device: device))
    }

    private static func kind(_ letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "f"): S_IFREG
        case UInt8(ascii: "d"): S_IFDIR
        case UInt8(ascii: "l"): S_IFLNK
        case UInt8(ascii: "p"): S_IFIFO
        case UInt8(ascii: "s"): S_IFSOCK
        case UInt8(ascii: "c"): S_IFCHR
        case UInt8(ascii: "b"): S_IFBLK
        default: nil
        }
    }

    /// `1732220000.1234567890` with nine digits of the fraction that count.
    private static func nanoseconds(_ text: ArraySlice<UInt8>) -> Int64? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let whole = parts.first, let seconds = Int64(String(decoding: whole, as: UTF8.self)),
            seconds.magnitude < 9_000_000_000
        else { return nil }
        guard parts.count == 2 else { return seconds * 1_000_000_000 }
        let digits = (String(decoding: parts[1], as: UTF8.self) + "000000000").prefix(9)
        guard let fraction = Int64(digits) else { return nil }
        return seconds * 1_000_000_000 + fraction
    }
}
