// SPDX-License-Identifier: Apache-2.0

/// A place in a configuration file, from 1.
public struct ConfigMark: Sendable, Hashable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { "\(file):\(line)" }
}

/// A configuration document as read, with places, before anything is interpreted.
public indirect enum ConfigNode: Sendable {
    /// A scalar's text; `isQuoted` tells `"5"` from `5`.
    case scalar(String, isQuoted: Bool, ConfigMark)
    case sequence([ConfigNode], ConfigMark)
    /// Keys in the order of the file; the reader has refused duplicates.
    case mapping([(key: String, mark: ConfigMark, value: ConfigNode)], ConfigMark)

    /// Where the node begins.
    public var mark: ConfigMark {
        switch self {
        case .scalar(_, _, let mark), .sequence(_, let mark), .mapping(_, let mark): mark
        }
    }
}

/// Reads one mapping strictly: a key that is not allowed is an error with its place and the nearest allowed key, and a
/// value of the wrong type is an error, never a default.
public struct ConfigReader: Sendable {
    /// The dotted path for messages, such as `sources[0].connection`.
    public let path: String
    public let mark: ConfigMark
    private let entries: [String: (mark: ConfigMark, value: ConfigNode)]

    /// Takes `node`, which must be a mapping with no keys outside `allowed`.
    public init(_ node: ConfigNode, path: String, allowed: [String]) throws {
        guard case .mapping(let pairs, let mark) = node else {
            throw Failure(
                .configuration, "\(node.mark): \(path.isEmpty ? "the document" : "'\(path)'") must be a mapping")
        }
        self.path = path
        self.mark = mark
        for pair in pairs where !allowed.contains(pair.key) {
            let name = path.isEmpty ? pair.key : "\(path).\(pair.key)"
            let nearest = NearestName.of(pair.key, among: allowed)
            throw Failure(
                .configuration, "\(pair.mark): unknown key '\(name)'",
                hint: nearest.map { "Did you mean '\($0)'?" } ?? "Allowed here: \(allowed.joined(separator: ", ")).")
        }
        entries = Dictionary(pairs.map { ($0.key, ($0.mark, $0.value)) }) { first, _ in first }
    }

    /// The node at `key`; nil when absent or `~`/`null`.
    public func node(_ key: String) -> ConfigNode? {
        guard let value = entries[key]?.value else { return nil }
        if case .scalar(let text, false, _) = value, ["", "~", "null"].contains(text) { return nil }
        return value
    }

    /// The path of `key` for messages.
    public func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// A failure about `key`, at its place.
    public func failure(_ key: String, _ problem: String, hint: String? = nil) -> Failure {
        let mark = entries[key]?.mark ?? mark
        return Failure(.configuration, "\(mark): '\(path(of: key))' \(problem)", hint: hint)
    }

    /// A scalar's text; nil when absent.
    public func string(_ key: String) throws -> String? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _, _) = node else { throw failure(key, "must be text") }
        return text
    }

    /// A scalar's text, which must be there.
    public func requiredString(_ key: String) throws -> String {
        guard let text = try string(key), !text.isEmpty else { throw failure(key, "is required") }
        return text
    }

    /// A whole number within `range`; nil when absent.
    public func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = try string(key) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw failure(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
        }
        return value
    }

    /// `true`/`false` (also `yes`/`no`, `on`/`off`, as in YAML 1.1); nil when absent.
    public func bool(_ key: String) throws -> Bool? {
        guard let text = try string(key) else { return nil }
        switch text {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw failure(key, "must be true or false, not '\(text)'")
        }
    }

    /// One of `choices`; nil when absent.
    public func choice(_ key: String, of choices: [String]) throws -> String? {
        guard let text = try string(key) else { return nil }
        guard choices.contains(text) else {
            let nearest = NearestName.of(text, among: choices)
            throw failure(
                key, "must be one of \(choices.joined(separator: ", ")), not '\(text)'",
                hint: nearest.map { "Did you mean '\($0)'?" })
        }
        return text
    }

    /// A list of texts; nil when absent. A single text counts as a list of one.
    public func strings(_ key: String) throws -> [String]? {
        guard let node = node(key) else { return nil }
        switch node {
        case .scalar(let text, _, _): return [text]
        case .sequence(let nodes, _):
            return try nodes.map {
                guard case .scalar(let text, _, _) = $0 else { throw failure(key, "must be a list of texts") }
                return text
            }
        case .mapping: throw failure(key, "must be a list of texts")
        }
    }

    /// The nodes of a list; nil when absent.
    public func sequence(_ key: String) throws -> [ConfigNode]? {
        guard let node = node(key) else { return nil }
        guard case .sequence(let nodes, _) = node else { throw failure(key, "must be a list") }
        return nodes
    }

    /// A nested mapping; nil when absent.
    public func mapping(_ key: String, allowed: [String]) throws -> ConfigReader? {
        guard let node = node(key) else { return nil }
        return try ConfigReader(node, path: path(of: key), allowed: allowed)
    }

    /// A reference to a secret; nil when absent.
    public func secret(_ key: String) throws -> SecretReference? {
        guard let text = try string(key) else { return nil }
        return SecretReference(text, mark: entries[key]?.mark ?? mark)
    }
}

/// Finds what somebody probably meant to type.
public enum NearestName {
    /// The candidate with the smallest edit distance to `text`, if it is near enough to be a slip.
    public static func of(_ text: String, among candidates: [String]) -> String? {
        let scored = candidates.map { (name: $0, distance: distance(Array(text.utf8), Array($0.utf8))) }
        guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, text.utf8.count / 3) ? best.name : nil
    }

    /// Levenshtein's distance.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (a == b ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[right.count]
    }
}
