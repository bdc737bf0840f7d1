// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads the text of a dump of tables while it passes, and counts what is in it: the rows of each table, a digest of them
/// that does not depend on their order, and one of the table's definition.
///
/// What is counted is thus what was stored, not what the server had a moment before or after.
struct DumpScanner: Sendable {
    /// One table's part.
    struct Table: Sendable, Equatable {
        var rows: Int64 = 0
        /// Sums over the rows' hashes, wrapping around: the same for the same rows in any order.
        var sums: (UInt64, UInt64) = (0, 0)
        var definition = RowHash()

        static func == (left: Table, right: Table) -> Bool {
            left.rows == right.rows && left.sums == right.sums && left.definition == right.definition
        }
    }

    /// Not against forgery, which the bundle's signature is for, but to notice a value that came back different.
    struct RowHash: Sendable, Equatable {
        private var state: UInt64 = 0xcbf2_9ce4_8422_2325

        // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
        mutating func add(_ byte: UInt8) { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }

        var value: UInt64 { Self.mixed(state) }
        var other: UInt64 { Self.mixed(state ^ 0x9e37_79b9_7f4a_7c15) }

        private static func mixed(_ value: UInt64) -> UInt64 {
            var value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }

    private enum Mode {
        /// Between two statements.
        case between
        case comment
        /// The first bytes of a statement, until it is known which it is.
        case head
        /// A name in backticks after a known beginning.
        case name
        /// From the table's name to its rows.
        case beforeRows
        case betweenRows
        case row
        case definition
        case other
    }

    private enum Kind { case insert, definition }

    private static let beginnings: [(text: [UInt8], kind: Kind)] = [
        (Array("INSERT INTO `".utf8), .insert),
        (Array("CREATE TABLE `".utf8), .definition),
        (Array("CREATE SEQUENCE `".utf8), .definition),
        (Array("DO SETVAL(`".utf8), .definition),
        (Array("SELECT SETVAL(`".utf8), .definition),
    ]
    /// A line for the client that no semicolon ends (see `SandboxLineFilter`).
    private static let lines = ["/*M!999999", "/*!999999"].map { Array($0.utf8) }
    private static let values = Array("VALUES".utf8)

    private(set) var tables: [String: Table] = [:]
    private var mode = Mode.between
    private var kind = Kind.definition
    private var head: [UInt8] = []
    private var name: [UInt8] = []
    private var sawBacktick = false
    private var matched = 0
    private var quote: UInt8 = 0
    private var isEscaped = false
    private var depth = 0
    private var hash = RowHash()
    private var key = ""
    private var current = Table()

    /// Takes the next bytes.
    ///
    /// - Throws: `Failure(.sourceFailed)` for rows that are not as a dump writes them.
    mutating func take(_ bytes: UnsafeRawBufferPointer) throws {
        for byte in bytes { try take(byte) }
    }

    /// Whether the text ended between two statements.
    var isComplete: Bool { mode == .between || mode == .comment }

    // MARK: - One byte

    private mutating func take(_ byte: UInt8) throws {
        switch mode {
        case .row: takeRow(byte)
        case .betweenRows: try takeBetweenRows(byte)
        case .between: takeBetween(byte)
        case .comment: if byte == UInt8(ascii: "\n") { mode = .between }
        case .head: takeHead(byte)
        case .name: takeName(byte)
        case .beforeRows: takeBeforeRows(byte)
        case .definition:
            hash.add(byte)
            if isEnd(byte) {
                current.definition = hash
                leave()
            }
        case .other: if isEnd(byte) { mode = .between }
        }
    }

    private mutating func takeBetween(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): break
        case UInt8(ascii: "-"): mode = .comment
        default:
            head.removeAll(keepingCapacity: true)
            (quote, isEscaped) = (0, false)
            mode = .head
            takeHead(byte)
        }
    }

    private mutating func takeHead(_ byte: UInt8) {
        head.append(byte)
        if let found = Self.beginnings.first(where: { $0.text == head }) {
            kind = found.kind
            name.removeAll(keepingCapacity: true)
            sawBacktick = false
            mode = .name
        } else if Self.lines.contains(head) {
            mode = .comment
        } else if !Self.beginnings.contains(where: { $0.text.starts(with: head) }),
            !Self.lines.contains(where: { $0.starts(with: head) })
        {
            mode = .other
            // No beginning has a quote before its end, so only this byte can open one.
            if isEnd(byte) { mode = .between }
        }
    }

    private mutating func takeName(_ byte: UInt8) {
        if sawBacktick, byte != UInt8(ascii: "`") {
            enter()
            switch kind {
            case .insert:
                matched = 0
                mode = .beforeRows
                takeBeforeRows(byte)
            case .definition:
                mode = .definition
                hash.add(byte)
                if isEnd(byte) {
                    current.definition = hash
                    leave()
                }
            }
            return
        }
        if byte == UInt8(ascii: "`"), !sawBacktick {
            sawBacktick = true
            return
        }
        sawBacktick = false
        name.append(byte)
    }

    private mutating func takeBeforeRows(_ byte: UInt8) {
        let wasQuoted = quote != 0
        if isEnd(byte) { return leave() }
        guard quote == 0, !wasQuoted else {
            matched = 0
            return
        }
        matched = byte == Self.values[matched] ? matched + 1 : (byte == Self.values[0] ? 1 : 0)
        if matched == Self.values.count { mode = .betweenRows }
    }

    private mutating func takeBetweenRows(_ byte: UInt8) throws {
        switch byte {
        case UInt8(ascii: "("):
            (depth, quote, isEscaped) = (1, 0, false)
            hash = RowHash()
            mode = .row
        case UInt8(ascii: ","), UInt8(ascii: "\n"), UInt8(ascii: " "), UInt8(ascii: "\r"): break
        case UInt8(ascii: ";"): leave()
        default:
            throw Failure(
                .sourceFailed, "the dump has something else than rows in an INSERT into '\(key)'",
                hint: "Use the dump program that came with the server.")
        }
    }

    private mutating func takeRow(_ byte: UInt8) {
        if quote != 0 {
            hash.add(byte)
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == quote {
                quote = 0
            }
            return
        }
        switch byte {
        case UInt8(ascii: "'"): quote = byte
        case UInt8(ascii: "("): depth += 1
        case UInt8(ascii: ")"):
            depth -= 1
            if depth == 0 {
                current.rows += 1
                current.sums.0 &+= hash.value
                current.sums.1 &+= hash.other
                mode = .betweenRows
                return
            }
        default: break
        }
        hash.add(byte)
    }

    /// Follows quotes; whether the byte is the semicolon that ends the statement.
    private mutating func isEnd(_ byte: UInt8) -> Bool {
        if quote != 0 {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "'") {
                isEscaped = true
            } else if byte == quote {
                quote = 0
            }
            return false
        }
        if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "`") { quote = byte }
        return byte == UInt8(ascii: ";")
    }

    private mutating func enter() {
        let text = String(decoding: name, as: UTF8.self)
        key = text
        current = tables[text] ?? Table()
        (quote, isEscaped) = (0, false)
        // A sequence's value belongs to its definition, which stands before it.
        hash = kind == .definition ? current.definition : RowHash()
    }

    private mutating func leave() {
        tables[key] = current
        mode = .between
    }
}

extension DumpScanner {
    /// What was counted, as facts of `database`.
    func facts(of database: String) -> Facts {
        var facts = Facts()
        for (name, table) in tables {
            let place = "\(database).\(name)"
            facts["\(place) rows"] = .count(table.rows)
            facts["\(place) digest"] = .text(Self.hexadecimal(table.sums.0) + Self.hexadecimal(table.sums.1))
            facts["\(place) definition"] = .text(Self.hexadecimal(table.definition.value))
        }
        return facts
    }

    static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
