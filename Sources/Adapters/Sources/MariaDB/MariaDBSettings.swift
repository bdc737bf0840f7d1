// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of one MariaDB source, as read from the plan.
struct MariaDBSettings: Sendable {
    /// Which databases are captured.
    enum Selection: Sendable, Equatable {
        /// Every one that is not the server's own.
        case all
        case named([String])
    }

    /// How connections are encrypted.
    enum Encryption: String, Sendable, CaseIterable {
        case disable, require, verify
    }

    /// What is done about tables without transactions.
    enum NonTransactional: String, Sendable, CaseIterable {
        /// They are named in a notice.
        case report
        /// All tables of the database are locked against writes while it is dumped.
        case lock
    }

    /// Host name or address; nil: the client's default, a Unix socket.
    var host: String?
    var port: Int?
    /// Path of the Unix socket, instead of host and port.
    var socket: String?
    var user: String?
    var password: SecretReference?
    /// An option file that the client programs read instead of nothing.
    var defaultsFile: String?
    var encryption: Encryption?
    var authorityFile: String?
    var certificateFile: String?
    var keyFile: String?
    var databases = Selection.all
    var exclude: [String] = []
    /// Databases dumped side by side.
    var jobs = 2
    /// Seconds that a statement waits for somebody else's metadata lock.
    var lockTimeout = 30
    var capturesAccounts = true
    var nonTransactional = NonTransactional.report
    /// The folder of the client programs; nil: found in PATH.
    var programs: String?
    /// Whether a restore makes the bundle's accounts that the server lacks.
    var restoresAccounts = true

    private static let keys = [
        "connection", "databases", "exclude", "jobs", "lock-timeout", "accounts", "non-transactional", "programs",
        "restore",
    ]
    private static let connectionKeys = ["host", "port", "socket", "user", "password", "defaults-file", "tls"]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.keys)
        if let connection = try reader.mapping("connection", allowed: Self.connectionKeys) {
            try readConnection(connection)
        }
        if let names = try reader.strings("databases"), names != ["all"] {
            guard !names.isEmpty else { throw reader.failure("databases", "must be 'all' or name a database") }
            if let own = names.first(where: Self.isSystem) {
                throw reader.failure(
                    "databases", "names '\(own)', which belongs to the server itself",
                    hint: "Accounts and grants are captured by 'accounts: true'.")
            }
            databases = .named(names)
        }
        exclude = try reader.strings("exclude") ?? []
        jobs = try reader.integer("jobs", in: 1...64) ?? jobs
        lockTimeout = try reader.integer("lock-timeout", in: 1...86400) ?? lockTimeout
        capturesAccounts = try reader.bool("accounts") ?? true
        if let text = try reader.choice("non-transactional", of: NonTransactional.allCases.map(\.rawValue)) {
            nonTransactional = NonTransactional(rawValue: text) ?? .report
        }
        programs = try reader.string("programs")
        if let restore = try reader.mapping("restore", allowed: ["accounts"]) {
            restoresAccounts = try restore.choice("accounts", of: ["missing", "none"]) != "none"
        }
    }

    private mutating func readConnection(_ connection: ConfigReader) throws {
        host = try connection.string("host")
        port = try connection.integer("port", in: 1...65535)
        socket = try connection.string("socket")
        if let path = host, path.hasPrefix("/") { (host, socket) = (nil, path) }
        if let socket, !socket.hasPrefix("/") {
            throw connection.failure("socket", "must be an absolute path, not '\(socket)'")
        }
        if socket != nil, host != nil || port != nil {
            throw connection.failure("socket", "excludes 'host' and 'port'")
        }
        if port != nil, host == nil { throw connection.failure("port", "needs a 'host'") }
        user = try connection.string("user")
        password = try connection.secret("password")
        defaultsFile = try connection.string("defaults-file")
        if let defaultsFile, !defaultsFile.hasPrefix("/") {
            throw connection.failure("defaults-file", "must be an absolute path, not '\(defaultsFile)'")
        }
        if let tls = try connection.mapping("tls", allowed: ["mode", "ca-file", "certificate-file", "key-file"]) {
            let mode = try tls.choice("mode", of: Encryption.allCases.map(\.rawValue))
            encryption = mode.flatMap(Encryption.init) ?? .verify
            authorityFile = try tls.string("ca-file")
            certificateFile = try tls.string("certificate-file")
            keyFile = try tls.string("key-file")
            if (certificateFile == nil) != (keyFile == nil) {
                throw tls.failure("certificate-file", "and 'key-file' belong together")
            }
        }
    }

    /// Whether a database is the server's own and no data.
    static func isSystem(_ database: String) -> Bool {
        ["information_schema", "mysql", "performance_schema", "sys"].contains(database.lowercased())
    }

    /// Whether `database` is among those to capture, apart from whether it exists.
    func includes(_ database: String) -> Bool {
        guard !exclude.contains(where: { NamePattern($0).matches(database) }) else { return false }
        switch databases {
        case .all: return true
        case .named(let names): return names.contains(database)
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
                    "host": ["type": "string", "description": "Host name or address; default: the Unix socket."],
                    "port": ["type": "integer", "minimum": 1, "maximum": 65535, "default": 3306],
                    "socket": [
                        "type": "string", "pattern": "^/", "description": "A Unix socket, instead of host and port.",
                    ],
                    "user": ["type": "string"],
                    "password": [
                        "type": "string", "description": "A reference to a secret: file:, env:, credential:.",
                    ],
                    "defaults-file": [
                        "type": "string", "pattern": "^/", "description": "An option file for the client programs.",
                    ],
                    "tls": [
                        "type": "object",
                        "additionalProperties": false,
                        "properties": [
                            "mode": ["enum": ["disable", "require", "verify"], "default": "verify"],
                            "ca-file": ["type": "string"],
                            "certificate-file": ["type": "string"],
                            "key-file": ["type": "string"],
                        ],
                    ],
                ],
            ],
            "databases": [
                "description": "'all' or a list of names.", "default": "all",
                "anyOf": [["type": "string"], ["type": "array", "items": ["type": "string"], "minItems": 1]],
            ],
            "exclude": [
                "description": "Databases not to capture; * and ? stand for any text and any character.",
                "anyOf": [["type": "string"], ["type": "array", "items": ["type": "string"]]],
            ],
            "jobs": ["type": "integer", "minimum": 1, "maximum": 64, "default": 2],
            "lock-timeout": [
                "type": "integer", "minimum": 1, "maximum": 86400, "default": 30,
                "description": "Seconds that a statement waits for somebody else's lock.",
            ],
            "accounts": [
                "type": "boolean", "default": true, "description": "Whether accounts and grants are captured.",
            ],
            "non-transactional": [
                "enum": ["report", "lock"], "default": "report",
                "description": "What tables without transactions lead to.",
            ],
            "programs": [
                "type": "string", "description": "Folder of mariadb and mariadb-dump, or mysql and mysqldump.",
            ],
            "restore": [
                "type": "object",
                "additionalProperties": false,
                "properties": ["accounts": ["enum": ["missing", "none"], "default": "missing"]],
            ],
        ],
    ]
}
