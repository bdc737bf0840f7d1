// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

/// Which collections, indexes or databases of a server are meant.
public struct ChosenNames: Sendable, Equatable {
    /// Names or patterns with `*` and `?`; nil: all.
    public var included: [String]?
    /// Names or patterns with `*` and `?`.
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
        (included ?? ["*"]).contains { NamePattern($0).matches(name) }
            && !excluded.contains { NamePattern($0).matches(name) }
    }

    /// Names and patterns that were asked for and fit none of `names`.
    public func missing(from names: [String]) -> [String] {
        (included ?? []).filter { !names.contains(where: NamePattern($0).matches) }
    }

    /// The JSON Schema of such a key.
    public static let schema: JSONValue = [
        "oneOf": [["const": "all"], ["type": "array", "minItems": 1, "items": ["type": "string"]]],
        "default": "all", "description": "names, or patterns with * and ?",
    ]

    /// The JSON Schema of `exclude`.
    public static let excludeSchema: JSONValue = ["type": "array", "items": ["type": "string"]]
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
