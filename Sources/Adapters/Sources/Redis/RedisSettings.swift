// SPDX-License-Identifier: Apache-2.0
import Domain

/// A Redis source's settings, as read from the plan.
struct RedisSettings: Sendable {
    /// Which of the bundle's access rules a restore applies.
    enum AccessRules: String, Sendable, CaseIterable {
        /// Users that the target does not have.
        case missing
        /// All users but `default` and the one that Salvor connects as.
        case all
        case none
    }

    var host = "127.0.0.1"
    var port = 6379
    /// Path of a Unix socket, instead of host and port.
    var socket: String?
    var user: String?
    var password: SecretReference?
    /// TLS is spoken with the server; nil: it is not.
    var security: RedisSecurity?
    /// Seconds without a byte from the server that end an attempt.
    var timeoutSeconds = 60
    /// The server to stage with; nil: the live server's own program, or the one in PATH.
    var scratchProgram: String?
    /// Under which address of this host the live server reaches the scratch server; nil: found out.
    var scratchAddress: String?
    /// Module libraries that the scratch server loads.
    var scratchModules: [String] = []
    var accessRules = AccessRules.missing

    private static let connectionKeys = ["host", "port", "user", "password", "socket", "tls"]

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(node, path: source, allowed: ["connection", "restore", "timeout"])
        timeoutSeconds = try reader.integer("timeout", in: 1...3600) ?? timeoutSeconds
        if let connection = try reader.mapping("connection", allowed: Self.connectionKeys) {
            socket = try connection.string("socket")
            if let socket, !socket.hasPrefix("/") {
                throw connection.failure("socket", "must be an absolute path, not '\(socket)'")
            }
            if socket != nil, connection.node("host") != nil || connection.node("port") != nil {
                throw connection.failure("socket", "excludes 'host' and 'port'")
            }
            host = try connection.string("host") ?? host
            if host.hasPrefix("/") { socket = host }
            port = try connection.integer("port", in: 1...65535) ?? port
            user = try connection.string("user")
            password = try connection.secret("password")
            if user != nil, password == nil { throw connection.failure("user", "needs a 'password'") }
            security = try RedisSecurity(connection)
            if socket != nil, security != nil { throw connection.failure("tls", "is not spoken on a Unix socket") }
        }
        let keys = ["scratch-program", "scratch-address", "scratch-modules", "acl"]
        if let restore = try reader.mapping("restore", allowed: keys) {
            scratchProgram = try restore.string("scratch-program")
            scratchAddress = try restore.string("scratch-address")
            scratchModules = try restore.strings("scratch-modules") ?? []
            if let choice = try restore.choice("acl", of: AccessRules.allCases.map(\.rawValue)) {
                accessRules = AccessRules(rawValue: choice) ?? accessRules
            }
        }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": [
                "type": "object",
                "additionalProperties": false,
                "properties": [
                    "host": ["type": "string", "default": "127.0.0.1"],
                    "port": ["type": "integer", "minimum": 1, "maximum": 65535, "default": 6379],
                    "socket": [
                        "type": "string", "pattern": "^/", "description": "a Unix socket, instead of host and port",
                    ],
                    "user": ["type": "string", "description": "an ACL user; default: 'default'"],
                    "password": ["type": "string", "description": "a reference: file:, env:, credential:, command:"],
                    "tls": RedisSecurity.schema,
                ],
            ],
            "timeout": [
                "type": "integer", "minimum": 1, "maximum": 3600, "default": 60,
                "description": "seconds without a byte from the server that end an attempt",
            ],
            "restore": [
                "type": "object",
                "additionalProperties": false,
                "properties": [
                    "scratch-program": [
                        "type": "string",
                        "description": "the server to stage with; default: the live server's own program",
                    ],
                    "scratch-address": [
                        "type": "string",
                        "description": "address of this host under which the live server reaches the scratch server",
                    ],
                    "scratch-modules": [
                        "type": "array", "items": ["type": "string"],
                        "description": "module libraries that the scratch server loads",
                    ],
                    "acl": ["enum": ["missing", "all", "none"], "default": "missing"],
                ],
            ],
        ],
    ]
}
