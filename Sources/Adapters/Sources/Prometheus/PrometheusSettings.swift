// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The settings of one Prometheus source, as read from the plan.
struct PrometheusSettings: Sendable {
    /// Without a trailing slash.
    var url = "http://127.0.0.1:9090"
    var host = "127.0.0.1"
    var port = 9090
    /// What follows the authority, such as `/prometheus`.
    var prefix = ""
    var user: String?
    var password: SecretReference?
    var authorityFile: String?
    /// The server's storage folder; nil: as the server tells.
    var dataDirectory: String?
    /// Leaves out what is not yet in a block: the last two to three hours.
    var skipsHead = false
    /// The folder of promtool; nil: found in PATH.
    var programs: String?
    var stop: [String]?
    var start: [String]?

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(
            node, path: path, allowed: ["connection", "data-directory", "skip-head", "programs", "restore"])
        if let connection = try reader.mapping("connection", allowed: ["url", "user", "password", "ca-file"]) {
            try readConnection(connection)
        }
        dataDirectory = try reader.string("data-directory")
        if let dataDirectory, !dataDirectory.hasPrefix("/") || dataDirectory.hasSuffix("/") {
            throw reader.failure("data-directory", "must be an absolute path without a last slash")
        }
        skipsHead = try reader.bool("skip-head") ?? false
        programs = try reader.string("programs")
        guard let restore = try reader.mapping("restore", allowed: ["stop", "start"]) else { return }
        for key in ["stop", "start"] {
            guard let node = restore.node(key) else { continue }
            guard case .sequence = node, let words = try restore.strings(key), words.first?.isEmpty == false else {
                throw restore.failure(key, "must be a list of a program and its arguments")
            }
            if key == "stop" { stop = words } else { start = words }
        }
    }

    private mutating func readConnection(_ connection: ConfigReader) throws {
        if let text = try connection.string("url") {
            guard let parts = URLComponents(string: text), let scheme = parts.scheme,
                ["http", "https"].contains(scheme),
                let host = parts.host, !host.isEmpty, parts.user == nil, parts.query == nil, parts.fragment == nil
            else { throw connection.failure("url", "must be like http://host:9090, not '\(text)'") }
            self.host = host.filter { $0 != "[" && $0 != "]" }
            port = parts.port ?? (scheme == "https" ? 443 : 80)
            prefix = parts.path.hasSuffix("/") ? String(parts.path.dropLast()) : parts.path
            url = text.hasSuffix("/") ? String(text.dropLast()) : text
        }
        user = try connection.string("user")
        password = try connection.secret("password")
        if (user == nil) != (password == nil) { throw connection.failure("user", "and 'password' belong together") }
        authorityFile = try connection.string("ca-file")
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": [
                "type": "object",
                "additionalProperties": false,
                "properties": [
                    "url": ["type": "string", "pattern": "^https?://", "default": "http://127.0.0.1:9090"],
                    "user": ["type": "string"],
                    "password": [
                        "type": "string", "description": "A reference to a secret: file:, env:, credential:.",
                    ],
                    "ca-file": ["type": "string"],
                ],
            ],
            "data-directory": [
                "type": "string", "pattern": "^/", "description": "The storage folder; default: as the server tells.",
            ],
            "skip-head": [
                "type": "boolean", "default": false, "description": "Leaves out the last two to three hours.",
            ],
            "programs": ["type": "string", "description": "Folder of promtool."],
            "restore": [
                "type": "object",
                "additionalProperties": false,
                "properties": [
                    "stop": ["type": "array", "items": ["type": "string"], "minItems": 1],
                    "start": ["type": "array", "items": ["type": "string"], "minItems": 1],
                ],
            ],
        ],
    ]
}
