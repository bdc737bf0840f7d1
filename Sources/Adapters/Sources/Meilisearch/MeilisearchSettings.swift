// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// A Meilisearch source's settings, as read from the plan.
struct MeilisearchSettings: Sendable {
    /// What a change while documents are read amounts to.
    enum OnChange: String, Sendable, CaseIterable {
        case notice, fail
    }

    static let port = 7700
    var web: WebSettings
    var indexes: ChosenNames
    /// Seconds without a byte that end a request.
    var timeout = 60
    /// Seconds that the server may take for one of its tasks.
    var taskTimeout = 3600
    /// Documents asked for at once.
    var pageSize = 1000
    var onChange = OnChange.notice
    /// Where the server puts dumps, as seen over the transport; nil: documents are read over HTTP.
    var dumpDirectory: String?

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(
            node, path: source,
            allowed: [
                "connection", "indexes", "exclude", "timeout", "task-timeout", "page-size", "on-change",
                "dump-directory",
            ])
        web = try WebSettings(reader, port: Self.port, usesKey: true)
        indexes = try ChosenNames(reader, "indexes")
        timeout = try reader.integer("timeout", in: 1...3600) ?? timeout
        taskTimeout = try reader.integer("task-timeout", in: 1...604_800) ?? taskTimeout
        pageSize = try reader.integer("page-size", in: 1...100_000) ?? pageSize
        if let choice = try reader.choice("on-change", of: OnChange.allCases.map(\.rawValue)) {
            onChange = OnChange(rawValue: choice) ?? onChange
        }
        dumpDirectory = try reader.string("dump-directory")
        if let dumpDirectory {
            guard dumpDirectory.hasPrefix("/") else {
                throw reader.failure("dump-directory", "must be an absolute path, not '\(dumpDirectory)'")
            }
            for key in ["page-size", "on-change"] where reader.node(key) != nil {
                throw reader.failure(key, "is for reading over HTTP, and 'dump-directory' is set")
            }
        }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": WebSettings.schema(port: port, usesKey: true),
            "indexes": ChosenNames.schema,
            "exclude": ChosenNames.excludeSchema,
            "timeout": ["type": "integer", "minimum": 1, "maximum": 3600, "default": 60],
            "task-timeout": [
                "type": "integer", "minimum": 1, "maximum": 604_800, "default": 3600,
                "description": "seconds that the server may take for one task",
            ],
            "page-size": ["type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000],
            "on-change": [
                "enum": ["notice", "fail"], "default": "notice",
                "description": "what an index that changes while it is read amounts to",
            ],
            "dump-directory": [
                "type": "string", "pattern": "^/",
                "description": "the server's --dump-dir, as seen over the transport: dumps are taken instead of pages",
            ],
        ],
    ]
}
