// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Which collections, indexes or databases of a server are meant.
public struct ChosenNames: Sendable, Equatable {
    /// Names or patterns with `*`; nil: all.
    public var included: [String]?
    /// Names or patterns with `*`.
    public var excluded: [String]

    public init(_ included: [String]? = nil, excluded: [String] = []) {
        self.included = included
        self.excluded = excluded
    }

    /// Reads `key` (`all` or a list) and `exclude`.
    public init(_ reader: ConfigReader, _ key: String) throws {
        let names = try reader.strings(key)
        if let names, names.isEmpty { throw reader.failure(key, "must be 'all' or a list of names") }
        included = names == ["all"] ? nil : names
        excluded = try reader.strings("exclude") ?? []
    }

    /// Whether `name` is meant.
    public func contains(_ name: String) -> Bool {
        (included ?? ["*"]).contains { Self.matches(name, $0) } && !excluded.contains { Self.matches(name, $0) }
    }

    /// Plain names that were asked for and are not among `names`.
    public func missing(from names: [String]) -> [String] {
        (included ?? []).filter { pattern in !names.contains { Self.matches($0, pattern) } }
    }

    /// The JSON Schema of such a key.
    public static let schema: JSONValue = [
        "oneOf": [["const": "all"], ["type": "array", "minItems": 1, "items": ["type": "string"]]],
        "default": "all", "description": "names, or patterns with *",
    ]

    /// The JSON Schema of `exclude`.
    public static let excludeSchema: JSONValue = ["type": "array", "items": ["type": "string"]]

    /// Whether `name` fits `pattern`, in which `*` stands for any text.
    public static func matches(_ name: String, _ pattern: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1, let first = parts.first, let last = parts.last else { return name == pattern }
        guard name.hasPrefix(first), name.utf8.count >= first.utf8.count + last.utf8.count, name.hasSuffix(last) else {
            return false
        }
        var rest = name.dropFirst(first.count).dropLast(last.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.indices.first(where: { rest[$0...].hasPrefix(part) }) else { return false }
            rest = rest[found...].dropFirst(part.count)
        }
        return true
    }
}

/// Names that Salvor gives to what it makes.
public enum GivenNames {
    private static let mark = "__salvor_"

    /// The name of a restored copy of `name`: `docs__salvor_k3f9qz`. A copy of a copy is named after the first.
    public static func staged(_ name: String, _ restoreID: String) -> String { base(name) + mark + restoreID }

    /// The name of what was there before, where it must be copied: `docs__salvor_k3f9qz_old`.
    public static func old(_ name: String, _ restoreID: String) -> String { staged(name, restoreID) + "_old" }

    private static func base(_ name: String) -> String {
        guard let range = name.indices.first(where: { name[$0...].hasPrefix(mark) && $0 > name.startIndex }) else {
            return name
        }
        return String(name[..<range])
    }

    /// The name of a stream for `name`, which may be any text.
    public static func stream(_ kind: String, _ name: String) -> String {
        let plain = "\(kind)-\(SafeName.escaping(name))"
        guard !SafeName.isValid(plain) else { return plain }
        return "\(kind)-\(SHA256Digest.of(name.utf8).description.prefix(32))"
    }
}
