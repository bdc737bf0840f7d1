// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One statement of a schema, as the server or cqlsh prints it.
struct CQLStatement: Sendable, Equatable {
    /// What it makes or changes.
    enum Kind: String, Sendable {
        case keyspace, type, function, aggregate, table, view, index, trigger, alteration, other
    }

    var text: String
    var kind: Kind
    /// The keyspace it is about; nil for `other`.
    var keyspace: String?
    /// The object's name; for indexes, triggers and alterations, the table's.
    var name: String?

    init(_ text: String) {
        self.text = text
        var words = CQLText.words(text).makeIterator()
        var seen: [CQLText.Word] = []
        while seen.count < 14, let word = words.next() { seen.append(word) }
        func isKeyword(_ index: Int, _ text: String) -> Bool {
            index < seen.count && !seen[index].isQuoted && seen[index].text.uppercased() == text
        }
        (kind, keyspace, name) = (.other, nil, nil)
        guard !seen.isEmpty else { return }
        var at = 1
        if isKeyword(0, "ALTER"), isKeyword(1, "TABLE") {
            kind = .alteration
            at = 2
        } else if isKeyword(0, "CREATE") {
            while isKeyword(at, "OR") || isKeyword(at, "REPLACE") || isKeyword(at, "CUSTOM") { at += 1 }
            let kinds: [(String, Kind)] = [
                ("KEYSPACE", .keyspace), ("TYPE", .type), ("FUNCTION", .function), ("AGGREGATE", .aggregate),
                ("TABLE", .table), ("INDEX", .index), ("TRIGGER", .trigger), ("MATERIALIZED", .view),
            ]
            guard let found = kinds.first(where: { isKeyword(at, $0.0) }) else { return }
            kind = found.1
            at += kind == .view ? 2 : 1
            if kind == .index || kind == .trigger {
                while at < seen.count, !isKeyword(at, "ON") { at += 1 }
                at += 1
            }
            while isKeyword(at, "IF") || isKeyword(at, "NOT") || isKeyword(at, "EXISTS") { at += 1 }
        } else {
            return
        }
        guard at < seen.count else {
            kind = .other
            return
        }
        keyspace = seen[at].name
        if kind == .keyspace { name = keyspace } else if at + 1 < seen.count { name = seen[at + 1].name }
    }

    /// The same for a keyspace of another name: every name that is qualified with the old one is qualified with the new.
    func moved(from old: String, to new: String) -> CQLStatement {
        var result = ""
        var rest = text[...]
        let words = CQLText.words(text)
        for (index, word) in words.enumerated() where word.name == old {
            let isQualifier = text[word.range.upperBound...].first == "."
            let isItself = kind == .keyspace && index == words.firstIndex { $0.name == old && $0.isIdentifier }
            guard isQualifier || isItself else { continue }
            result += text[rest.startIndex..<word.range.lowerBound] + CQLText.identifier(new)
            rest = text[word.range.upperBound...]
        }
        return CQLStatement(result + rest)
    }

    /// The same without the id, which belongs to the table it was taken from.
    var withoutID: CQLStatement {
        let id = "ID\\s*=\\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
        var changed = text
        for (pattern, replacement) in [("\\bWITH\\s+\(id)\\s+AND\\b", "WITH"), ("\\b(WITH|AND)\\s+\(id)", "")] {
            guard let range = changed.range(of: pattern, options: [.regularExpression, .caseInsensitive]) else {
                continue
            }
            changed.replaceSubrange(range, with: replacement)
            break
        }
        return CQLStatement(changed)
    }
}

/// The little of CQL's syntax that copying a schema takes.
enum CQLText {
    /// A word or a quoted name outside of strings and comments.
    struct Word: Sendable {
        var text: String
        var isQuoted: Bool
        var range: Range<String.Index>

        /// What it names: unquoted words are lower case.
        var name: String { isQuoted ? text : text.lowercased() }
        var isIdentifier: Bool { isQuoted || text.first.map { $0.isLetter } ?? false }
    }

    /// A name as CQL text; quoted where it must be.
    static func identifier(_ name: String) -> String {
        let isPlain =
            name.utf8.first.map { (97...122).contains($0) } ?? false
            && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
        return isPlain && !reserved.contains(name)
            ? name : "\"\(name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
    }

    static func qualified(_ keyspace: String, _ name: String) -> String {
        "\(identifier(keyspace)).\(identifier(name))"
    }

    /// A text as a CQL string.
    static func literal(_ text: String) -> String {
        "'\(text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
    }

    /// https://cassandra.apache.org/doc/latest/cassandra/reference/cql-commands/… : words that name nothing unquoted.
    private static let reserved: Set<String> = [
        "add", "allow", "alter", "and", "apply", "asc", "authorize", "batch", "begin", "by", "columnfamily", "create",
        "default", "delete", "desc", "describe", "drop", "entries", "execute", "from", "full", "grant", "if", "in",
        "index", "infinity", "insert", "into", "is", "keyspace", "limit", "materialized", "mbean", "mbeans", "modify",
        "nan", "norecursive", "not", "null", "of", "on", "or", "order", "primary", "rename", "replace", "revoke",
        "schema", "select", "set", "table", "to", "token", "truncate", "unlogged", "unset", "update", "use", "using",
        "view", "where", "with",
    ]

    /// The statements of `text`, without their semicolons; comments between them are left out, and with them what a server
    /// prints of a table that CQL cannot make again.
    static func statements(_ text: String) -> [CQLStatement] {
        var statements: [CQLStatement] = []
        var current = ""
        scan(text) { piece, kind in
            switch kind {
            case .comment: current += " "
            case .plain where piece == ";":
                let trimmed = current.trimmingCharacters(in: .whitespacesAndNewlines)
                if !trimmed.isEmpty { statements.append(CQLStatement(trimmed)) }
                current = ""
            default: current += piece
            }
        }
        return statements
    }

    /// The words of one statement.
    static func words(_ text: String) -> [Word] {
        var words: [Word] = []
        var at = text.startIndex
        scan(text) { piece, kind in
            let end = text.index(at, offsetBy: piece.count)
            defer { at = end }
            switch kind {
            case .name:
                let inner = piece.dropFirst().dropLast()
                words.append(
                    Word(
                        text: inner.components(separatedBy: "\"\"").joined(separator: "\""), isQuoted: true,
                        range: at..<end))
            case .plain:
                if let first = piece.first, first.isLetter || first.isNumber || first == "_" {
                    words.append(Word(text: String(piece), isQuoted: false, range: at..<end))
                }
            case .string, .comment: break
            }
        }
        return words
    }

    private enum Piece { case plain, name, string, comment }

    /// Calls `body` with every piece in order: a word or one other character, a quoted name, a string, a comment.
    private static func scan(_ text: String, _ body: (Substring, Piece) -> Void) {
        var rest = text[...]
        func take(_ end: String.Index, _ kind: Piece) {
            body(rest[..<end], kind)
            rest = rest[end...]
        }
        /// Where the text after `opening` ends with `closing`, which doubled stands for itself.
        func end(_ opening: Int, _ closing: String, doubled: Bool) -> String.Index {
            var from = rest.index(rest.startIndex, offsetBy: opening)
            while let found = rest.range(of: closing, range: from..<rest.endIndex) {
                if doubled, rest[found.upperBound...].hasPrefix(closing) {
                    from = rest.index(found.upperBound, offsetBy: closing.count)
                    continue
                }
                return found.upperBound
            }
            return rest.endIndex
        }
        while let first = rest.first {
            if rest.hasPrefix("--") || rest.hasPrefix("//") {
                take(rest.firstIndex(where: \.isNewline) ?? rest.endIndex, .comment)
            } else if rest.hasPrefix("/*") {
                take(end(2, "*/", doubled: false), .comment)
            } else if rest.hasPrefix("$$") {
                take(end(2, "$$", doubled: false), .string)
            } else if first == "'" {
                take(end(1, "'", doubled: true), .string)
            } else if first == "\"" {
                take(end(1, "\"", doubled: true), .name)
            } else if first.isLetter || first.isNumber || first == "_" {
                take(rest.firstIndex { !($0.isLetter || $0.isNumber || $0 == "_") } ?? rest.endIndex, .plain)
            } else {
                take(rest.index(after: rest.startIndex), .plain)
            }
        }
    }
}
