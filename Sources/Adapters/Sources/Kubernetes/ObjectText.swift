// SPDX-License-Identifier: Apache-2.0
import Domain
import Yams

/// Objects as YAML documents that `kubectl apply` takes: what looks like text is text for every reader of YAML.
enum ObjectText {
    /// All objects, each a document that begins with `---`.
    static func yaml(_ objects: [JSONValue]) -> String {
        objects.map { "---\n" + mapping($0, indentation: 0) }.joined()
    }

    /// The objects of such a text.
    ///
    /// - Throws: `Failure(.integrity)`.
    static func objects(_ text: String) throws -> [JSONValue] {
        do {
            // The reader drops a byte order mark that a text begins with; where the text begins, it is seen.
            let lines =
                text.contains(mark) ? text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) : []
            return try Yams.compose_all(yaml: text).map { try value($0, lines) }
        } catch {
            throw Failure(.integrity, "the objects of the bundle are not readable: \(error)")
        }
    }

    /// A quoted text that begins with a byte order mark.
    private static let mark = "\"\\uFEFF"

    /// Whether a server takes an object by server-side apply: it reads what it is sent as YAML, which refuses some
    /// characters and takes one (U+0085) for the end of a line.
    static func isAppliable(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members): members.allSatisfy { isAppliable(.string($0)) && isAppliable($1) }
        case .array(let elements): elements.allSatisfy(isAppliable)
        case .string(let text):
            !text.unicodeScalars.contains {
                switch $0.value {
                case 0x7f...0x9f, 0xfeff, 0xfffe, 0xffff: true
                default: false
                }
            }
        default: true
        }
    }

    // MARK: Writing

    /// The members in the order people expect.
    private static let first = ["apiVersion", "kind", "metadata", "name", "namespace"]

    private static func mapping(_ value: JSONValue, indentation: Int) -> String {
        guard case .object(let members) = value else { return "" }
        let keys = members.keys.sorted {
            let (left, right) = (first.firstIndex(of: $0) ?? first.count, first.firstIndex(of: $1) ?? first.count)
            return (left, $0) < (right, $1)
        }
        let margin = String(repeating: " ", count: indentation)
        return keys.map { margin + scalar($0) + ":" + member(members[$0] ?? .null, indentation) }.joined()
    }

    /// What follows the colon of a member.
    private static func member(_ value: JSONValue, _ indentation: Int) -> String {
        switch value {
        case .object(let members) where !members.isEmpty: "\n" + mapping(value, indentation: indentation + 2)
        case .array(let elements) where !elements.isEmpty: "\n" + sequence(elements, indentation)
        case .string(let text): " " + (block(text, indentation) ?? scalar(text) + "\n")
        default: " " + plain(value) + "\n"
        }
    }

    private static func sequence(_ elements: [JSONValue], _ indentation: Int) -> String {
        let margin = String(repeating: " ", count: indentation)
        return elements.map { element in
            switch element {
            case .object(let members) where !members.isEmpty:
                margin + "- " + mapping(element, indentation: indentation + 2).dropFirst(indentation + 2)
            case .array(let inner) where !inner.isEmpty: margin + "-\n" + sequence(inner, indentation + 2)
            case .string(let text): margin + "- " + (block(text, indentation) ?? scalar(text) + "\n")
            default: margin + "- " + plain(element) + "\n"
            }
        }.joined()
    }

    private static func plain(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .number(let value): "\(value)"
        case .string(let text): scalar(text)
        case .array: "[]"
        case .object: "{}"
        }
    }

    /// Words that some version of YAML takes for something else than text.
    private static let words: Set<String> = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ]

    /// Text on one line: bare when nobody can take it for anything else, quoted as JSON does otherwise.
    private static func scalar(_ text: String) -> String {
        let isBare =
            text.utf8.count <= 200 && (text.utf8.first.map(isLetter) ?? false)
            && text.utf8.allSatisfy {
                isLetter($0) || ($0 >= 48 && $0 <= 57) || [45, 46, 47, 95].contains($0)
            } && !words.contains(text.lowercased())
        return isBare ? text : quoted(text)
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 32) >= 97 && (byte | 32) <= 122 }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            default:
                if isPrintable(scalar) {
                    result.unicodeScalars.append(scalar)
                } else {
                    let digits = String(scalar.value, radix: 16, uppercase: true)
                    let (letter, length) = scalar.value > 0xffff ? ("U", 8) : ("u", 4)
                    result += "\\\(letter)" + String(repeating: "0", count: length - digits.count) + digits
                }
            }
        }
        return result + "\""
    }

    /// What no reader of YAML takes for a line break or refuses.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7e, 0xa1...0x2027, 0x202a...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd, 0x10000...0x10ffff: true
        default: false
        }
    }

    /// Text of several lines as it is, if that is possible.
    private static func block(_ text: String, _ indentation: Int) -> String? {
        guard text.contains("\n"), text.unicodeScalars.allSatisfy({ isPrintable($0) || $0 == "\n" }),
            text.unicodeScalars.contains(where: { $0 != "\n" && $0 != " " })
        else { return nil }
        let ends = text.reversed().prefix { $0 == "\n" }.count
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if ends > 0 { lines.removeLast() }
        let chomping = ends == 0 ? "-" : ends == 1 ? "" : "+"
        let margin = String(repeating: " ", count: indentation + 2)
        // The indentation is said, so that a first line may begin with spaces.
        return "|2\(chomping)\n" + lines.map { ($0.isEmpty ? "" : margin) + $0 + "\n" }.joined()
    }

    // MARK: Reading

    private static func value(_ node: Node, _ lines: [Substring.UnicodeScalarView]) throws -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, value) in mapping { members[key.string ?? ""] = try Self.value(value, lines) }
            return .object(members)
        case .sequence(let sequence): return .array(try sequence.map { try value($0, lines) })
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else {
                let hasMark = scalar.mark.map { place in
                    lines.indices.contains(place.line - 1)
                        && lines[place.line - 1].dropFirst(place.column - 1).starts(with: mark.unicodeScalars)
                }
                return .string((hasMark == true ? "\u{feff}" : "") + scalar.string)
            }
            switch scalar.string {
            case "null", "~", "": return .null
            case "true": return .bool(true)
            case "false": return .bool(false)
            default: break
            }
            if let number = Int64(scalar.string) { return .integer(number) }
            if let first = scalar.string.utf8.first, !isLetter(first), let number = Double(scalar.string) {
                return .number(number)
            }
            return .string(scalar.string)
        case .alias: throw Failure(.integrity, "an alias where none is written")
        }
    }
}
