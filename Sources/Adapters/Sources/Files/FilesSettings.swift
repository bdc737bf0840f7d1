// SPDX-License-Identifier: Apache-2.0
import Domain

/// A `files` source's settings, read strictly.
struct FilesSettings: Sendable {
    /// Absolute, without `.`, `..`, doubled or trailing slashes; in walk order; none within another.
    var paths: [String]
    var walking: TreeWalker.Options
    var packing: TreePacker.Options
    var storesDevices: Bool

    static let keys = [
        "paths", "exclude", "include", "one-file-system", "on-change", "devices", "allow-unreadable",
    ]

    init(_ node: ConfigNode) throws {
        let reader = try ConfigReader(node, path: "", allowed: Self.keys)
        guard let texts = try reader.strings("paths"), !texts.isEmpty else {
            throw reader.failure("paths", "is required", hint: "List the files and directories, as absolute paths.")
        }
        paths = try texts.map { text in
            guard let path = Self.normalized(text) else {
                throw reader.failure("paths", "must hold absolute paths without '.' and '..', not '\(text)'")
            }
            return path
        }.sorted { WalkOrder.compare(Array($0.utf8), Array($1.utf8)) < 0 }
        for (index, path) in paths.enumerated() {
            if let outer = paths[..<index].first(where: { path == $0 || path.hasPrefix($0 == "/" ? "/" : $0 + "/") }) {
                throw reader.failure(
                    "paths", "lists '\(path)', which lies in '\(outer)'", hint: "Leave the inner one out.")
            }
        }
        func patterns(_ key: String) throws -> PathPatterns {
            do {
                return try PathPatterns(try reader.strings(key) ?? [])
            } catch let failure as Failure where failure.code == .configuration {
                throw reader.failure(key, "is wrong: \(failure.summary)")
            }
        }
        let unreadable = try patterns("allow-unreadable")
        storesDevices = try reader.choice("devices", of: ["skip", "store"]) == "store"
        walking = TreeWalker.Options(
            exclude: try patterns("exclude"), include: try patterns("include"),
            oneFileSystem: try reader.bool("one-file-system") ?? true, allowedUnreadable: unreadable)
        packing = TreePacker.Options(
            failsOnChange: try reader.choice("on-change", of: ["report", "fail"]) == "fail",
            storesDevices: storesDevices, allowedUnreadable: unreadable)
    }

    /// The path in its plain form; nil when it is not absolute or has `.` or `..` in it.
    static func normalized(_ path: String) -> String? {
        guard path.hasPrefix("/"), !path.utf8.contains(0) else { return nil }
        let parts = path.split(separator: "/")
        guard !parts.contains(where: { $0 == "." || $0 == ".." }) else { return nil }
        return "/" + parts.joined(separator: "/")
    }

    /// The schema of the settings.
    static var schema: JSONValue {
        func list(_ description: String) -> JSONValue {
            ["type": ["array", "string"], "items": ["type": "string"], "description": .string(description)]
        }
        var paths = list("Absolute paths of files and directories.")
        if case .object(var members) = paths {
            members["minItems"] = 1
            paths = .object(members)
        }
        return [
            "type": "object", "required": ["paths"],
            "properties": [
                "paths": paths,
                "exclude": list("Patterns of what to leave out; a directory takes all that is in it along."),
                "include": list("When given, only what matches is stored, and the directories on the way to it."),
                "one-file-system": [
                    "type": "boolean", "default": true, "description": "Whether to stay out of mounted file systems.",
                ],
                "on-change": [
                    "enum": ["report", "fail"], "default": "report",
                    "description": "What a file that changes while it is read leads to.",
                ],
                "devices": [
                    "enum": ["skip", "store"], "default": "skip",
                    "description": "Whether device nodes are stored, and made again by a restore.",
                ],
                "allow-unreadable": list("Patterns of what may be unreadable; anything else unreadable is an error."),
            ],
        ]
    }
}
