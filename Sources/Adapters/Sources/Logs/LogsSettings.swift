// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of one source of logs, as read from the plan.
struct LogsSettings: Sendable {
    var paths: [String]
    var exclude: [String]
    var include: [String]
    /// Files not written to for so many days are left out; nil: all are stored.
    var days: Int?
    /// Files of more bytes are left out; nil: all are stored.
    var largest: Int?
    /// Whether a rotation that makes the copy miss a file fails the source.
    var failsOnRotation: Bool

    private static let keys = ["paths", "exclude", "include", "max-age-days", "max-file-bytes", "on-rotation"]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.keys)
        paths = try reader.strings("paths") ?? []
        guard !paths.isEmpty else {
            throw reader.failure("paths", "is required", hint: "List the log directories, as absolute paths.")
        }
        exclude = try reader.strings("exclude") ?? []
        include = try reader.strings("include") ?? []
        days = try reader.integer("max-age-days", in: 1...36500)
        largest = try reader.integer("max-file-bytes", in: 1...Int.max)
        failsOnRotation = try reader.choice("on-rotation", of: ["report", "fail"]) == "fail"
    }

    /// Settings of a `files` source that leaves `others` out, too.
    func files(leavingOut others: [String], _ mark: ConfigMark) -> ConfigNode {
        func list(_ texts: [String]) -> ConfigNode {
            .sequence(texts.map { .scalar($0, isQuoted: true, mark) }, mark)
        }
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("paths", mark, list(paths)), ("exclude", mark, list(exclude + others)),
        ]
        if !include.isEmpty { pairs.append(("include", mark, list(include))) }
        return .mapping(pairs, mark)
    }

    static let schema: JSONValue = {
        func list(_ description: String) -> JSONValue {
            ["type": ["array", "string"], "items": ["type": "string"], "description": .string(description)]
        }
        return [
            "type": "object",
            "required": ["paths"],
            "properties": [
                "paths": list("Absolute paths of log directories and files."),
                "exclude": list("Patterns of what to leave out."),
                "include": list("When given, only what matches is stored."),
                "max-age-days": [
                    "type": "integer", "minimum": 1, "description": "Leaves out files not written to for so many days.",
                ],
                "max-file-bytes": ["type": "integer", "minimum": 1, "description": "Leaves out files of more bytes."],
                "on-rotation": [
                    "enum": ["report", "fail"], "default": "report",
                    "description": "What a rotation that makes the copy miss a file leads to.",
                ],
            ],
        ]
    }()
}
