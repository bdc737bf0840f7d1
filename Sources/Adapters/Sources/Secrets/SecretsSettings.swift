// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of a source of secret files, as read from the plan.
struct SecretsSettings: Sendable {
    /// Files of `NAME=value` lines.
    var environmentFiles: [String]
    /// Whether a file that others may read is an error instead of a warning.
    var requiresPrivate: Bool
    /// The same as settings of a `files` source, which refuses a file that changes while it is read.
    var files: ConfigNode

    private static let own = ["environment-files", "require-private"]
    private static let passed = ["paths", "exclude", "include"]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.passed + Self.own)
        environmentFiles = try reader.strings("environment-files") ?? []
        requiresPrivate = try reader.bool("require-private") ?? false
        let paths = try reader.strings("paths") ?? []
        guard !paths.isEmpty || !environmentFiles.isEmpty else {
            throw reader.failure(
                "paths", "is required", hint: "List files and directories in 'paths', or files in 'environment-files'.")
        }
        func list(_ texts: [String]) -> ConfigNode {
            .sequence(texts.map { .scalar($0, isQuoted: true, node.mark) }, node.mark)
        }
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("paths", node.mark, list(paths + environmentFiles)),
            ("on-change", node.mark, .scalar("fail", isQuoted: false, node.mark)),
        ]
        for key in ["exclude", "include"] {
            if let texts = try reader.strings(key) { pairs.append((key, node.mark, list(texts))) }
        }
        files = .mapping(pairs, node.mark)
    }

    static let schema: JSONValue = {
        func list(_ description: String) -> JSONValue {
            ["type": ["array", "string"], "items": ["type": "string"], "description": .string(description)]
        }
        return [
            "type": "object",
            "anyOf": [["required": ["paths"]], ["required": ["environment-files"]]],
            "properties": [
                "paths": list("Absolute paths of files and directories."),
                "environment-files": list(
                    "Absolute paths of files of NAME=value lines, of which the names are listed."),
                "exclude": list("Patterns of what to leave out."),
                "include": list("When given, only what matches is stored."),
                "require-private": [
                    "type": "boolean", "default": false,
                    "description": "Whether a file that others may read fails the backup instead of a warning.",
                ],
            ],
        ]
    }()
}
