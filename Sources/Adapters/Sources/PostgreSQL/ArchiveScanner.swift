// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a custom-format archive (`pg_dump -Fc`) as it streams by, from the header to the last block, without keeping it.
///
/// An exit status may be masked and a cut archive still lists its table of contents, so the structure is followed to its
/// end: every data item that the table of contents announces must have arrived, with its end mark. The layout is that of
/// PostgreSQL's pg_backup_archiver.c and pg_backup_custom.c, archive versions 1.12 to 1.16 (PostgreSQL 9.0 to 18).
struct ArchiveScanner: Sendable {
    /// The last value of a sequence as the archive sets it.
    struct SequenceValue: Sendable, Equatable {
        var schema: String
        var name: String
        var value: Int64
        var isCalled: Bool
    }

    private enum Expected {
        case header
        case entry(remaining: Int)
        case block
        case chunkLength
        case chunk(remaining: UInt64)
        case largeObject
    }

    /// Bytes in front of which nothing more is to be changed.
    static let fixedHeaderLength = 11
    private static let newestKnown = 16

    /// The archive's version is newer than this reader; `isKnown` tells so that another check is made.
    private(set) var isKnown = true
    private(set) var sequences: [SequenceValue] = []
    /// `pg_dump`'s version as the archive states it.
    private(set) var dumpVersion = ""
    /// Where the creation time lies (seven integers); nil until the header has been read.
    private(set) var creationTime: Range<Int>?

    private var expected = Expected.header
    private var pending: [UInt8] = []
    private var position = 0
    private var minor = 0
    private var integerSize = 4
    private var offsetSize = 8
    private var announced: Set<Int64> = []
    private var isInLargeObjects = false

    init() {}

    /// Takes the next bytes of the archive.
    ///
    /// - Throws: `Failure(.sourceFailed)` when they are not what an archive holds here.
    mutating func take(_ bytes: UnsafeRawBufferPointer) throws {
        guard isKnown else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            // Table data is most of an archive: step over it without copying.
            if case .chunk(let remaining) = expected, pending.isEmpty {
                let step = Int(min(remaining, UInt64(rest.count)))
                rest = rest.dropFirst(step)
                expected = UInt64(step) == remaining ? .chunkLength : .chunk(remaining: remaining - UInt64(step))
                continue
            }
            if case .chunkLength = expected, pending.isEmpty {
                let step = try skipChunks(UnsafeRawBufferPointer(rebasing: rest))
                rest = rest.dropFirst(step)
                if step > 0 { continue }
            }
            // What cannot be parsed yet waits for more; entries of the table of contents are small, blocks' marks tiny.
            let portion = isInBlocks ? min(rest.count, 4096) : rest.count
            pending.append(contentsOf: rest.prefix(portion))
            rest = rest.dropFirst(portion)
            try parsePending()
            guard pending.count - position < 1 << 30 else {
                throw damaged("an entry of its table of contents is too long")
            }
        }
    }

    /// Says whether all announced data has arrived.
    ///
    /// - Throws: `Failure(.sourceFailed)` for an archive that is cut.
    func finish() throws {
        guard isKnown else { return }
        guard case .block = expected, pending.isEmpty else { throw damaged("it ends in the middle") }
        guard announced.isEmpty else { throw damaged("\(announced.count) of its data items are missing") }
    }

    private var isInBlocks: Bool {
        switch expected {
        case .header, .entry: false
        case .block, .chunkLength, .chunk, .largeObject: true
        }
    }

    /// Steps over chunks that begin in `bytes`, where there is one for every row; returns how far. This is the path that
    /// almost all bytes take.
    private mutating func skipChunks(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        var index = 0
        while index + 1 + integerSize <= bytes.count {
            var length: UInt64 = 0
            for offset in (1...integerSize).reversed() { length = length << 8 | UInt64(bytes[index + offset]) }
            guard bytes[index] == 0, length <= UInt64(Int64.max) else { throw damaged("an odd length") }
            index += 1 + integerSize
            if length == 0 {
                expected = isInLargeObjects ? .largeObject : .block
                return index
            }
            let room = UInt64(bytes.count - index)
            if length > room {
                expected = .chunk(remaining: length - room)
                return bytes.count
            }
            index += Int(length)
        }
        return index
    }

    private mutating func parsePending() throws {
        var mark = position
        while position < pending.count, isKnown {
            if case .chunk(let remaining) = expected {
                let step = Int(min(remaining, UInt64(pending.count - position)))
                position += step
                expected = UInt64(step) == remaining ? .chunkLength : .chunk(remaining: remaining - UInt64(step))
            } else if try !parseOne() {
                // Not all there yet: begin this item again when more has come.
                position = mark
                break
            }
            mark = position
        }
        pending.removeFirst(position)
        position = 0
    }

    /// Parses one item; false when its end has not come yet.
    private mutating func parseOne() throws -> Bool {
        switch expected {
        case .header: return try parseHeader()
        case .entry(let remaining): return try parseEntry(remaining)
        case .block:
            guard let type = byte(), let number = try integer() else { return false }
            // BLK_DATA and BLK_BLOBS
            guard type == 1 || type == 3 else { throw damaged("a block of unknown type \(type)") }
            guard announced.remove(number) != nil else { throw damaged("data item \(number) is not announced") }
            isInLargeObjects = type == 3
            expected = isInLargeObjects ? .largeObject : .chunkLength
        case .largeObject:
            guard let number = try integer() else { return false }
            expected = number == 0 ? .block : .chunkLength
        case .chunkLength:
            guard let length = try integer() else { return false }
            guard length >= 0 else { throw damaged("a negative length") }
            if length == 0 {
                expected = isInLargeObjects ? .largeObject : .block
            } else {
                expected = .chunk(remaining: UInt64(length))
            }
        case .chunk: break
        }
        return true
    }

    private mutating func parseHeader() throws -> Bool {
        guard pending.count >= Self.fixedHeaderLength else { return false }
        guard pending.starts(with: "PGDMP".utf8) else { throw damaged("it does not begin as an archive does") }
        minor = Int(pending[6])
        guard pending[5] == 1, pending[6] <= Self.newestKnown else {
            isKnown = false
            return true
        }
        guard minor >= 12, pending[10] == 1 else { throw damaged("it is not of the custom format") }
        integerSize = Int(pending[8])
        offsetSize = Int(pending[9])
        guard (1...8).contains(integerSize), (1...8).contains(offsetSize) else { throw damaged("an odd header") }
        position = Self.fixedHeaderLength
        if minor >= 15 {
            guard byte() != nil else { return false }
        } else {
            guard try integer() != nil else { return false }
        }
        let start = position
        for _ in 0..<7 { guard try integer() != nil else { return false } }
        let end = position
        // Name of the database, version of the server, version of pg_dump, entries.
        guard try text() != nil, try text() != nil, let version = try text(), let count = try integer() else {
            return false
        }
        guard count >= 0, count < 1 << 31 else { throw damaged("an odd table of contents") }
        creationTime = start..<end
        dumpVersion = version ?? ""
        expected = count == 0 ? .block : .entry(remaining: Int(count))
        return true
    }

    private mutating func parseEntry(_ remaining: Int) throws -> Bool {
        guard let number = try integer(), let hasData = try integer(),
            try text() != nil, try text() != nil,  // oids of the catalog and of the object
            let tag = try text(), let kind = try text(), try integer() != nil,
            let definition = try text(), try text() != nil, try text() != nil,  // drop and copy statements
            let schema = try text(), try text() != nil  // tablespace
        else { return false }
        if minor >= 14 { guard try text() != nil else { return false } }
        if minor >= 16 { guard try integer() != nil else { return false } }
        guard try text() != nil, try text() != nil else { return false }  // owner, "false"
        while true {
            guard let dependency = try text() else { return false }
            if dependency == nil { break }
        }
        guard byte() != nil, position + offsetSize <= pending.count else { return false }
        position += offsetSize
        if hasData != 0, !announced.insert(number).inserted { throw damaged("data item \(number) is announced twice") }
        if kind == "SEQUENCE SET", let value = Self.setValue(in: definition ?? "") {
            sequences.append(
                SequenceValue(schema: schema ?? "", name: tag ?? "", value: value.0, isCalled: value.1))
        }
        expected = remaining == 1 ? .block : .entry(remaining: remaining - 1)
        return true
    }

    /// The last two arguments of `SELECT pg_catalog.setval('public.s', 42, true);`.
    private static func setValue(in statement: String) -> (Int64, Bool)? {
        guard let close = statement.lastIndex(of: ")") else { return nil }
        let arguments = statement[..<close].split(separator: ",").suffix(2).map {
            $0.drop(while: \.isWhitespace)
        }
        guard arguments.count == 2, let value = Int64(arguments[0]) else { return nil }
        return (value, arguments[1] == "true")
    }

    private mutating func byte() -> UInt8? {
        guard position < pending.count else { return nil }
        defer { position += 1 }
        return pending[position]
    }

    /// A sign byte and `integerSize` bytes, lowest first.
    private mutating func integer() throws -> Int64? {
        guard position + 1 + integerSize <= pending.count else { return nil }
        guard pending[position] <= 1 else { throw damaged("an odd integer") }
        var value: UInt64 = 0
        for index in (0..<integerSize).reversed() { value = value << 8 | UInt64(pending[position + 1 + index]) }
        guard let magnitude = Int64(exactly: value) else { throw damaged("an odd integer") }
        defer { position += 1 + integerSize }
        return pending[position] == 0 ? magnitude : -magnitude
    }

    /// A length and as many bytes; `.some(nil)` for the absent text, nil when its end has not come yet.
    private mutating func text() throws -> String?? {
        guard let length = try integer() else { return nil }
        guard length >= 0 else { return .some(nil) }
        guard length <= pending.count - position else { return nil }
        defer { position += Int(length) }
        return .some(String(decoding: pending[position..<(position + Int(length))], as: UTF8.self))
    }

    private func damaged(_ what: String) -> Failure {
        Failure(.sourceFailed, "the archive of pg_dump is damaged: \(what)")
    }
}
