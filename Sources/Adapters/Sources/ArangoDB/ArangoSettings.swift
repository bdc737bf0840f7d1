// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// An ArangoDB source's settings, as read from the plan.
struct ArangoSettings: Sendable {
    static let port = 8529
    var web: WebSettings
    var databases: ChosenNames
    /// Where dumps lie for a while, beside the server.
    var workDirectory = "/var/tmp"
    var threads = 2
    /// Seconds without a byte that end a request.
    var timeout = 60
    /// What promoting does with a database that is there: leave it, or put the restored one in its place.
    var replaces = false
    var dumpProgram = "arangodump"
    var restoreProgram = "arangorestore"

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(
            node, path: source,
            allowed: [
                "connection", "databases", "exclude", "work-directory", "threads", "timeout", "programs", "restore",
            ])
        web = try WebSettings(reader, port: Self.port, usesKey: false)
        guard web.prefix.isEmpty else {
            throw Failure(.configuration, "\(reader.mark): 'connection.url' cannot have a path: the tools take none")
        }
        databases = try ChosenNames(reader, "databases")
        workDirectory = try reader.string("work-directory") ?? workDirectory
        guard workDirectory.hasPrefix("/") else { throw reader.failure("work-directory", "must be an absolute path") }
        threads = try reader.integer("threads", in: 1...64) ?? threads
        timeout = try reader.integer("timeout", in: 1...86_400) ?? timeout
        if let programs = try reader.mapping("programs", allowed: ["arangodump", "arangorestore"]) {
            dumpProgram = try programs.string("arangodump") ?? dumpProgram
            restoreProgram = try programs.string("arangorestore") ?? restoreProgram
        }
        if let restore = try reader.mapping("restore", allowed: ["replace"]) {
            replaces = try restore.bool("replace") ?? replaces
        }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": WebSettings.schema(port: port, usesKey: false),
            "databases": ChosenNames.schema,
            "exclude": ChosenNames.excludeSchema,
            "work-directory": [
                "type": "string", "pattern": "^/", "default": "/var/tmp",
                "description": "where dumps lie for a while, beside the server",
            ],
            "threads": ["type": "integer", "minimum": 1, "maximum": 64, "default": 2],
            "timeout": ["type": "integer", "minimum": 1, "maximum": 86_400, "default": 60],
            "programs": [
                "type": "object", "additionalProperties": false,
                "properties": ["arangodump": ["type": "string"], "arangorestore": ["type": "string"]],
            ],
            "restore": [
                "type": "object", "additionalProperties": false,
                "properties": [
                    "replace": [
                        "type": "boolean", "default": false,
                        "description": "whether promoting removes a live database and restores it under its own name",
                    ]
                ],
            ],
        ],
    ]
}
