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
        var seen = 0
        while let member = try iterator.next() {
            seen += 1
            try body(member)
        }
        guard seen == count else {
            throw Failure(.integrity, "a member list is damaged: \(seen) lines instead of \(count)")
        }
    }

    /// Reads member after member, for merging with a walk.
    public func makeIterator() -> MemberIterator { MemberIterator(text: text) }

    /// A path for people and for the stored form.
    public static func display(_ path: [UInt8]) -> String {
        var text: [UInt8] = []
        appendEscaped(path, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func field(_ value: UInt64, radix: UInt64 = 10) {
        text.append(UInt8(ascii: "\t"))
        if value == 0 {
            text.append(UInt8(ascii: "0"))
            return
        }
        let start = text.count
        var rest = value
        while rest > 0 {
            text.append(UInt8(ascii: "0") + UInt8(rest % radix))
            rest /= radix
        }
        text[start...].reverse()
    }

    private mutating func field(signed value: Int64) {
        field(value.magnitude)
        guard value < 0, let tab = text.lastIndex(of: UInt8(ascii: "\t")) else { return }
        text.insert(UInt8(ascii: "-"), at: tab + 1)
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
    private let text: [UInt8]
    private var position = 0

    fileprivate init(text: [UInt8]) {
        self.text = text
    }

    /// The next member; nil at the end.
    ///
    /// - Throws: `Failure(.integrity)` for a damaged line.
    public mutating func next() throws -> TreeMember? {
        guard position < text.count else { return nil }
        return try text.withUnsafeBufferPointer { try parse($0) }
    }

    private mutating func parse(_ text: UnsafeBufferPointer<UInt8>) throws -> TreeMember {
        let damage = Failure(.integrity, "a member list is damaged")
        guard let kind = TreeMember.Kind(rawValue: text[position]) else { throw damage }
        position += 1
        func number(radix: UInt64 = 10) throws -> UInt64 {
            guard position < text.count, text[position] == UInt8(ascii: "\t") else { throw damage }
            position += 1
            var value: UInt64 = 0
            let start = position
            while position < text.count, text[position] >= 48, UInt64(text[position] - 48) < radix {
                let (high, overflow) = value.multipliedReportingOverflow(by: radix)
                let (sum, carry) = high.addingReportingOverflow(UInt64(text[position] - 48))
                guard !overflow, !carry else { throw damage }
                value = sum
                position += 1
            }
            guard position > start else { throw damage }
            return value
        }
        func signed() throws -> Int64 {
            let isNegative = position + 1 < text.count && text[position + 1] == UInt8(ascii: "-")
            if isNegative {
                position += 1
                // Overwrites nothing: the sign stands where `number` expects the tab, so read the digits by hand.
                position += 1
                var value: Int64 = 0
                let start = position
                while position < text.count, text[position] >= 48, text[position] <= 57 {
                    let (high, overflow) = value.multipliedReportingOverflow(by: 10)
                    let (difference, borrow) = high.subtractingReportingOverflow(Int64(text[position] - 48))
                    guard !overflow, !borrow else { throw damage }
                    value = difference
                    position += 1
                }
                guard position > start else { throw damage }
                return value
            }
            guard let value = Int64(exactly: try number()) else { throw damage }
            return value
        }
        let mode = try number(radix: 8)
        let (user, group) = (try number(), try number())
        let size = try number()
        let (modified, changed) = (try signed(), try signed())
        let (inode, offset, length) = (try number(), try number(), try number())
        guard let mode = UInt32(exactly: mode), let user = UInt32(exactly: user), let group = UInt32(exactly: group)
        else { throw damage }
        let digest = try digestField(text, damage)
        let path = try pathField(text, damage)
        return TreeMember(
            path: path, kind: kind, mode: mode, userID: user, groupID: group, size: size, modified: modified,
            changed: changed, inode: inode, offset: offset, length: length, sha256: digest)
    }

    private mutating func digestField(_ text: UnsafeBufferPointer<UInt8>, _ damage: Failure) throws -> SHA256Digest? {
        guard position + 1 < text.count, text[position] == UInt8(ascii: "\t") else { throw damage }
        position += 1
        if text[position] == UInt8(ascii: "-") {
            position += 1
            return nil
        }
        guard position + 64 <= text.count else { throw damage }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for index in stride(from: position, to: position + 64, by: 2) {
            guard let high = Self.digit(text[index]), let low = Self.digit(text[index + 1]) else { throw damage }
            bytes.append(high << 4 | low)
        }
        position += 64
        return SHA256Digest(bytes: bytes)
    }

    private mutating func pathField(_ text: UnsafeBufferPointer<UInt8>, _ damage: Failure) throws -> [UInt8] {
        guard position < text.count, text[position] == UInt8(ascii: "\t") else { throw damage }
        position += 1
        var path: [UInt8] = []
        while position < text.count, text[position] != UInt8(ascii: "\n") {
            if text[position] == UInt8(ascii: "\\") {
                guard position + 3 < text.count, text[position + 1] == UInt8(ascii: "x"),
                    let high = Self.digit(text[position + 2]), let low = Self.digit(text[position + 3])
                else { throw damage }
                path.append(high << 4 | low)
                position += 4
            } else {
                path.append(text[position])
                position += 1
            }
        }
        guard position < text.count, !path.isEmpty else { throw damage }
        position += 1
        return path
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// The order in which trees are walked and listed: names compared part by part as bytes, a directory before what is in it.
public enum WalkOrder {
    /// Negative, zero or positive as `left` comes before, is, or comes after `right`.
    public static func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
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
