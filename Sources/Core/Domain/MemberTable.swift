// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// One member of a tar stream, as listed in the contents and in the local record of a base.
public struct TreeMember: Sendable, Equatable {
    /// What kind of file it is.
    public enum Kind: UInt8, Sendable {
        case file = 0x66  // f
        case directory = 0x64  // d
        case symbolicLink = 0x6c  // l
        case hardLink = 0x68  // h
        case fifo = 0x70  // p
        case characterDevice = 0x63  // c
        case blockDevice = 0x62  // b
    }

    /// Raw bytes of the name within the tar: no leading slash, no trailing slash.
    public var path: [UInt8]
    public var kind: Kind
    /// Permission bits with set-user-id, set-group-id and sticky (07777).
    public var mode: UInt32
    public var userID: UInt32
    public var groupID: UInt32
    /// Size of a regular file in bytes (its apparent size when sparse), else 0.
    public var size: UInt64
    /// Nanoseconds since 1970.
    public var modified: Int64
    /// Nanoseconds since 1970 of the last change of the inode; with `inode`, tells unchanged files on the next night.
    public var changed: Int64
    public var inode: UInt64
    /// Where the member (with its extended header) begins in the stream.
    public var offset: UInt64
    /// Bytes from `offset` to the next member.
    public var length: UInt64
    /// SHA-256 of a regular file's content, holes as zeros; nil for everything else.
    public var sha256: SHA256Digest?

    public init(
        path: [UInt8], kind: Kind, mode: UInt32, userID: UInt32, groupID: UInt32, size: UInt64, modified: Int64,
        changed: Int64, inode: UInt64, offset: UInt64, length: UInt64, sha256: SHA256Digest?
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.userID = userID
        self.groupID = groupID
        self.size = size
        self.modified = modified
        self.changed = changed
        self.inode = inode
        self.offset = offset
        self.length = length
        self.sha256 = sha256
    }

    /// The path for people: bytes that are not printable UTF-8 are escaped.
    public var displayPath: String { MemberTable.display(path) }
}

/// Members in stream order, kept as one buffer of text lines (about 150 bytes each), so that millions of files stay
/// cheap. The text is also the stored form:
/// ```
/// <kind> <mode octal> <uid> <gid> <size> <mtime ns> <ctime ns> <inode> <offset> <length> <sha256|-> <path>
/// ```
/// separated by tabs. In paths, bytes below 0x20, 0x7f, `\` and bytes above 0x7f that are not UTF-8 are written `\xHH`.
public struct MemberTable: Sendable, Equatable {
    /// The lines, each with its newline.
    public private(set) var text: [UInt8] = []
    /// Number of members.
    public private(set) var count = 0

    public init() {}

    /// Takes stored lines; every line is checked when it is read by `members`.
    public init(text: [UInt8], count: Int) {
        self.text = text
        self.count = count
    }

    /// Adds a member at the end.
    public mutating func append(_ member: TreeMember) {
        count += 1
        text.append(member.kind.rawValue)
        field(UInt64(member.mode), radix: 8)
        field(UInt64(member.userID))
        field(UInt64(member.groupID))
        field(member.size)
        field(signed: member.modified)
        field(signed: member.changed)
        field(member.inode)
        field(member.offset)
        field(member.length)
        text.append(UInt8(ascii: "\t"))
        if let sha256 = member.sha256 {
            Self.appendHexadecimal(sha256.bytes, to: &text)
        } else {
            text.append(UInt8(ascii: "-"))
        }
        text.append(UInt8(ascii: "\t"))
        Self.appendEscaped(member.path, to: &text)
        text.append(UInt8(ascii: "\n"))
    }

    /// Calls `body` with every member in order.
    ///
    /// - Throws: `Failure(.integrity)` for a damaged line or a wrong count, and what `body` throws.
    public func forEach(_ body: (TreeMember) throws -> Void) throws {
        var iterator = makeIterator()
        while let member = try iterator.next() { try body(member) }
    }

    /// Reads member after member, for merging with a walk.
    public func makeIterator() -> MemberIterator { MemberIterator(makeCursor()) }

    /// Reads member after member in place, where an allocation per member costs too much.
    public func makeCursor() -> MemberCursor { MemberCursor(text: text, count: count) }

    /// A path for people and for the stored form.
    public static func display(_ path: [UInt8]) -> String {
        var text: [UInt8] = []
        appendEscaped(path, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func field(_ value: UInt64, radix: UInt64 = 10, isNegative: Bool = false) {
        // 22 octal digits, a sign and the tab fit into 24 bytes; filled from the end.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24) { digits in
            var start = 24
            var rest = value
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % radix)
                rest /= radix
            } while rest > 0
            if isNegative {
                start -= 1
                digits[start] = UInt8(ascii: "-")
            }
            start -= 1
            digits[start] = UInt8(ascii: "\t")
            text.append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[start...]))
        }
    }

    private mutating func field(signed value: Int64) {
        field(value.magnitude, isNegative: value < 0)
    }

    private static let hexadecimalDigits = Array("0123456789abcdef".utf8)

    private static func appendHexadecimal(_ bytes: [UInt8], to text: inout [UInt8]) {
        for byte in bytes {
            text.append(hexadecimalDigits[Int(byte >> 4)])
            text.append(hexadecimalDigits[Int(byte & 15)])
        }
    }

    private static func appendEscaped(_ path: [UInt8], to text: inout [UInt8]) {
        let isPlain = path.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }
        if isPlain {
            text.append(contentsOf: path)
            return
        }
        let isText = String(validating: path, as: UTF8.self) != nil
        for byte in path {
            if byte < 0x20 || byte == 0x7f || byte == UInt8(ascii: "\\") || (byte >= 0x80 && !isText) {
                text.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "x")])
                appendHexadecimal([byte], to: &text)
            } else {
                text.append(byte)
            }
        }
    }
}

/// Reads the lines of a `MemberTable` one after the other.
public struct MemberIterator: Sendable {
    private var cursor: MemberCursor

    fileprivate init(_ cursor: MemberCursor) {
        self.cursor = cursor
    }

    /// The next member; nil at the end.
    ///
    /// - Throws: `Failure(.integrity)` for a damaged line or a wrong number of lines.
    public mutating func next() throws -> TreeMember? {
        try cursor.advance() ? cursor.member : nil
    }
}

/// The order in which trees are walked and listed: names compared part by part as bytes, a directory before what is in it.
public enum WalkOrder {
    /// Negative, zero or positive as `left` comes before, is, or comes after `right`.
    public static func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
        left.withUnsafeBufferPointer { left in right.withUnsafeBufferPointer { compare(left, $0) } }
    }

    /// The same for bytes in place.
    public static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let shared = min(left.count, right.count)
        var index = 0
        while index < shared {
            let (a, b) = (left[index], right[index])
            if a != b {
                // A slash ends a part, so it sorts before every other byte.
                if a == UInt8(ascii: "/") { return -1 }
                if b == UInt8(ascii: "/") { return 1 }
                return a < b ? -1 : 1
            }
            index += 1
        }
        return left.count - right.count
    }
}
