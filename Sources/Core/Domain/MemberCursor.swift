// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// Reads a `MemberTable` line by line in place, without an allocation per member: for merging with a walk of many files.
public struct MemberCursor: Sendable {
    /// What the current line says; see `TreeMember`.
    public private(set) var kind = TreeMember.Kind.file
    public private(set) var mode: UInt32 = 0
    public private(set) var userID: UInt32 = 0
    public private(set) var groupID: UInt32 = 0
    public private(set) var size: UInt64 = 0
    public private(set) var modified: Int64 = 0
    public private(set) var changed: Int64 = 0
    public private(set) var inode: UInt64 = 0
    public private(set) var offset: UInt64 = 0
    public private(set) var length: UInt64 = 0

    private let text: [UInt8]
    private let count: Int
    private var position = 0
    private var seen = 0
    /// Where the digest is, empty for none; where the path is, as stored.
    private var digestRange = 0..<0
    private var pathRange = 0..<0
    /// The path, when it is stored with escapes.
    private var unescaped: [UInt8] = []
    private var isEscaped = false

    init(text: [UInt8], count: Int) {
        self.text = text
        self.count = count
    }

    /// Goes to the next member; false at the end.
    ///
    /// - Throws: `Failure(.integrity)` for a damaged line or a wrong number of lines.
    public mutating func advance() throws -> Bool {
        guard position < text.count else {
            guard seen == count else {
                throw Failure(.integrity, "a member list is damaged: \(seen) lines instead of \(count)")
            }
            return false
        }
        guard text.withUnsafeBufferPointer({ parse($0) }) else { throw Failure(.integrity, "a member list is damaged") }
        seen += 1
        return true
    }

    /// Calls `body` with the raw bytes of the current path.
    public func withPath<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        if isEscaped { return try unescaped.withUnsafeBufferPointer(body) }
        return try text.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[pathRange])) }
    }

    /// The raw bytes of the current path.
    public var path: [UInt8] { isEscaped ? unescaped : Array(text[pathRange]) }

    /// The digest of the current member; nil when it has none.
    public var sha256: SHA256Digest? {
        guard !digestRange.isEmpty else { return nil }
        let bytes = stride(from: digestRange.lowerBound, to: digestRange.upperBound, by: 2).compactMap { index in
            Self.digit(text[index]).flatMap { high in Self.digit(text[index + 1]).map { high << 4 | $0 } }
        }
        return SHA256Digest(bytes: bytes)
    }

    /// The current member as a value of its own.
    public var member: TreeMember {
        TreeMember(
            path: path, kind: kind, mode: mode, userID: userID, groupID: groupID, size: size, modified: modified,
            changed: changed, inode: inode, offset: offset, length: length, sha256: sha256)
    }

    /// Reads one line; false when it is damaged. A closure or an error made in advance would cost more than the reading.
    private mutating func parse(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var at = position
        guard let kind = TreeMember.Kind(rawValue: text[at]) else { return false }
        self.kind = kind
        at += 1
        guard let mode = Self.number(text, &at, radix: 8).flatMap(UInt32.init(exactly:)),
            let user = Self.number(text, &at).flatMap(UInt32.init(exactly:)),
            let group = Self.number(text, &at).flatMap(UInt32.init(exactly:)), let size = Self.number(text, &at),
            let modified = Self.signed(text, &at), let changed = Self.signed(text, &at),
            let inode = Self.number(text, &at), let offset = Self.number(text, &at),
            let length = Self.number(text, &at)
        else { return false }
        (self.mode, userID, groupID, self.size) = (mode, user, group, size)
        (self.modified, self.changed, self.inode) = (modified, changed, inode)
        (self.offset, self.length) = (offset, length)
        guard at + 1 < text.count, text[at] == UInt8(ascii: "\t") else { return false }
        at += 1
        if text[at] == UInt8(ascii: "-") {
            digestRange = 0..<0
            at += 1
        } else {
            guard at + 64 <= text.count else { return false }
            for index in at..<(at + 64) where Self.digit(text[index]) == nil { return false }
            digestRange = at..<(at + 64)
            at += 64
        }
        guard at < text.count, text[at] == UInt8(ascii: "\t") else { return false }
        at += 1
        let start = at
        isEscaped = false
        while at < text.count, text[at] != UInt8(ascii: "\n") {
            if text[at] == UInt8(ascii: "\\") { isEscaped = true }
            at += 1
        }
        guard at < text.count, at > start else { return false }
        pathRange = start..<at
        position = at + 1
        return !isEscaped || unescape(text)
    }

    private mutating func unescape(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        unescaped.removeAll(keepingCapacity: true)
        var at = pathRange.lowerBound
        while at < pathRange.upperBound {
            if text[at] == UInt8(ascii: "\\") {
                guard at + 3 < pathRange.upperBound, text[at + 1] == UInt8(ascii: "x"),
                    let high = Self.digit(text[at + 2]), let low = Self.digit(text[at + 3])
                else { return false }
                unescaped.append(high << 4 | low)
                at += 4
            } else {
                unescaped.append(text[at])
                at += 1
            }
        }
        return true
    }

    /// A tab and a number without sign.
    private static func number(_ text: UnsafeBufferPointer<UInt8>, _ at: inout Int, radix: UInt64 = 10) -> UInt64? {
        guard at < text.count, text[at] == UInt8(ascii: "\t") else { return nil }
        at += 1
        var value: UInt64 = 0
        let start = at
        while at < text.count, text[at] >= 48, UInt64(text[at] - 48) < radix {
            let (high, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = high.addingReportingOverflow(UInt64(text[at] - 48))
            guard !overflow, !carry else { return nil }
            value = sum
            at += 1
        }
        return at > start ? value : nil
    }

    /// A tab and a number that may have a minus sign.
    private static func signed(_ text: UnsafeBufferPointer<UInt8>, _ at: inout Int) -> Int64? {
        guard at + 1 < text.count, text[at + 1] == UInt8(ascii: "-") else {
            return number(text, &at).flatMap(Int64.init(exactly:))
        }
        guard text[at] == UInt8(ascii: "\t") else { return nil }
        at += 2
        var value: Int64 = 0
        let start = at
        while at < text.count, text[at] >= 48, text[at] <= 57 {
            let (high, overflow) = value.multipliedReportingOverflow(by: 10)
            let (difference, borrow) = high.subtractingReportingOverflow(Int64(text[at] - 48))
            guard !overflow, !borrow else { return nil }
            value = difference
            at += 1
        }
        return at > start ? value : nil
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
