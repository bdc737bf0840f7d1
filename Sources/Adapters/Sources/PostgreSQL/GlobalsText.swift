// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What `pg_dumpall --globals-only` prints, and its statements.
enum GlobalsText {
    /// The text without its `\restrict` and `\unrestrict` commands, whose key is random: an unchanged server then gives
    /// the same bytes every night, and psql of any age can replay them.
    ///
    /// - Throws: `Failure(.sourceFailed)` when the end mark is missing.
    static func normalized(_ bytes: [UInt8]) throws -> [UInt8] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
        guard lines.suffix(6).contains(where: { $0.elementsEqual("-- PostgreSQL database cluster dump complete".utf8) })
        else { throw Failure(.sourceFailed, "pg_dumpall ended without its end mark") }
        let opening = Array("\\restrict ".utf8)
        // Only the two commands pg_dumpall itself wrote: the first one before any statement, the last one with its key.
        if let first = lines.firstIndex(where: { !$0.isEmpty && !$0.starts(with: "--".utf8) }),
            lines[first].starts(with: opening)
        {
            let closing = Array("\\unrestrict ".utf8) + lines[first].dropFirst(opening.count)
            if let last = lines.lastIndex(where: { $0.elementsEqual(closing) }) { lines.remove(at: last) }
            lines.remove(at: first)
        }
        return Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    }

    /// The statements of the text, without comments and closing semicolons.
    ///
    /// - Throws: `Failure(.integrity)` for a backslash outside quotes, which psql would take for a command of its own.
    static func statements(_ text: String) throws -> [String] {
        var statements: [String] = []
        var current = String.UnicodeScalarView()
        let scalars = Array(text.unicodeScalars)
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            switch scalar {
            case "-" where index + 1 < scalars.count && scalars[index + 1] == "-":
                while index < scalars.count, scalars[index] != "\n" { index += 1 }
                continue
            case "'", "\"":
                let escapes = scalar == "'" && (current.last == "E" || current.last == "e")
                let end = endOfQuoted(scalars, from: index, escapes: escapes)
                current.append(contentsOf: scalars[index..<end])
                index = end
                continue
            case ";":
                append(current, to: &statements)
                current = String.UnicodeScalarView()
            case "\\":
                throw Failure(.integrity, "the globals hold a psql command, which is not replayed")
            default:
                current.append(scalar)
            }
            index += 1
        }
        append(current, to: &statements)
        return statements
    }

    /// The words of a statement: quoted names without their quotes, everything else as it is.
    static func words(_ statement: String) -> [String] {
        var words: [String] = []
        var current = String.UnicodeScalarView()
        var isQuoted = false
        let scalars = Array(statement.unicodeScalars)
        var index = 0
        func close() {
            if !current.isEmpty || isQuoted { words.append(String(current)) }
            (current, isQuoted) = (String.UnicodeScalarView(), false)
        }
        while index < scalars.count {
            let scalar = scalars[index]
            if scalar == "\"" {
                let end = endOfQuoted(scalars, from: index, escapes: false)
                var inner = scalars[(index + 1)..<max(index + 1, end - 1)]
                while let next = inner.popFirst() {
                    current.append(next)
                    if next == "\"" { inner = inner.dropFirst() }
                }
                isQuoted = true
                index = end
                continue
            }
            if scalar.properties.isWhitespace || scalar == "," { close() } else { current.append(scalar) }
            index += 1
        }
        close()
        return words
    }

    /// The statements that make the roles in `missing`, and nothing that changes a role that is there already: resetting
    /// a living role's password or rights would touch the live system.
    ///
    /// Tablespaces are left out: their folders have to be made by hand.
    static func statements(_ text: String, creating missing: Set<String>) throws -> [String] {
        try statements(text).filter { statement in
            let words = words(statement)
            let head = words.prefix(2).map { $0.uppercased() }
            switch head {
            case ["CREATE", "ROLE"], ["ALTER", "ROLE"]:
                return words.count > 2 && missing.contains(words[2])
            case ["COMMENT", "ON"]:
                return words.count > 3 && words[2].uppercased() == "ROLE" && missing.contains(words[3])
            default:
                guard head.first == "GRANT" else { return false }
                let upper = words.map { $0.uppercased() }
                guard let to = upper.firstIndex(of: "TO"), to + 1 < words.count else { return false }
                if let on = upper.firstIndex(of: "ON"), on < to {
                    return !upper.contains("TABLESPACE") && missing.contains(words[to + 1])
                }
                return words.count > 1 && (missing.contains(words[1]) || missing.contains(words[to + 1]))
            }
        }
    }

    /// A membership only between roles that are known, and without the grantor where the source's server did not keep it
    /// right (before PostgreSQL 16); any other statement as it is; nil for a membership that cannot be.
    static func membership(_ statement: String, known: Set<String>, keepsGrantor: Bool) -> String? {
        let words = words(statement)
        let upper = words.map { $0.uppercased() }
        guard upper.first == "GRANT", !upper.contains("ON"), let to = upper.firstIndex(of: "TO"), to == 2,
            words.count > 3
        else { return statement }
        guard known.contains(words[1]), known.contains(words[3]) else { return nil }
        guard let by = upper.lastIndex(of: "GRANTED"), by > 3, by + 2 < words.count else { return statement }
        if keepsGrantor, known.contains(words[by + 2]) { return statement }
        guard let start = statement.range(of: " GRANTED BY ", options: .backwards)?.lowerBound else { return statement }
        return String(statement[..<start])
    }

    /// The roles that the text makes.
    static func roles(_ text: String) throws -> [String] {
        try statements(text).compactMap { statement in
            let words = words(statement)
            return words.count == 3 && words[0] == "CREATE" && words[1] == "ROLE" ? words[2] : nil
        }
    }

    private static func append(_ scalars: String.UnicodeScalarView, to statements: inout [String]) {
        let text = String(scalars)
        guard let start = text.firstIndex(where: { !$0.isWhitespace }) else { return }
        statements.append(String(text[start...]))
    }

    private static func endOfQuoted(_ scalars: [Unicode.Scalar], from start: Int, escapes: Bool) -> Int {
        let quote = scalars[start]
        var index = start + 1
        while index < scalars.count {
            if escapes, scalars[index] == "\\" {
                index += 2
            } else if scalars[index] == quote {
                guard index + 1 < scalars.count, scalars[index + 1] == quote else { return index + 1 }
                index += 2
            } else {
                index += 1
            }
        }
        return scalars.count
    }
}
