// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of one PostgreSQL source, as read from the plan.
struct PostgreSQLSettings: Sendable {
    /// Which databases are captured.
    enum Selection: Sendable, Equatable {
        /// Every database that accepts connections and is no template.
        case all
        case named([String])
    }

    /// How tables are counted at capture.
    enum Counting: String, Sendable, CaseIterable {
        /// Rows of every table.
        case exact
        /// Only whether a table has rows.
        case estimate
    }

    /// Host name, address, or folder of the Unix socket; nil: the client's default.
    var host: String?
    var port: Int?
    var user: String?
    var password: SecretReference?
    /// The database used for everything that belongs to no database.
    var maintenanceDatabase = "postgres"
    var sslMode: String?
    /// Files of the authority that vouches for the server, of this client's certificate and of its key, where the client
    /// programs run; nil: what libpq finds in `~/.postgresql`.
    var sslFiles: (rootCertificate: String?, certificate: String?, key: String?)
    var databases = Selection.all
    var exclude: [String] = []
    /// Databases dumped side by side, and workers of one `pg_restore`.
    var jobs = 2
    /// As PostgreSQL reads it: `30s`, `2min`.
    var lockTimeout = "30s"
    var capturesGlobals = true
    var capturesRolePasswords = true
    var counting = Counting.exact
    /// The folder of the client programs; nil: found beside the server's version, else in PATH.
    var programs: String?

    private static let keys = [
        "connection", "databases", "exclude", "jobs", "lock-timeout", "globals", "role-passwords", "facts", "programs",
    ]
    private static let connectionKeys = ["host", "port", "user", "password", "database"] + sslKeys
    private static let sslKeys = ["sslmode", "sslrootcert", "sslcert", "sslkey"]
    private static let sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.keys)
        if let connection = try reader.mapping("connection", allowed: Self.connectionKeys) {
            host = try connection.string("host")
            port = try connection.integer("port", in: 1...65535)
            user = try connection.string("user")
            password = try connection.secret("password")
            maintenanceDatabase = try connection.string("database") ?? maintenanceDatabase
            try readTLS(connection)
        }
        if let names = try reader.strings("databases"), names != ["all"] {
            guard !names.isEmpty else { throw reader.failure("databases", "must be 'all' or name a database") }
            databases = .named(names)
        }
        exclude = try reader.strings("exclude") ?? []
        jobs = try reader.integer("jobs", in: 1...64) ?? jobs
        if let text = try reader.string("lock-timeout") {
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            let unit = text.dropFirst(digits.count)
            guard !digits.isEmpty, ["", "ms", "s", "min", "h"].contains(unit) else {
                throw reader.failure("lock-timeout", "must be a duration such as 30s or 2min, not '\(text)'")
            }
            lockTimeout = unit.isEmpty ? text + "s" : text
        }
        capturesGlobals = try reader.bool("globals") ?? true
        capturesRolePasswords = try reader.bool("role-passwords") ?? true
        if let text = try reader.choice("facts", of: Counting.allCases.map(\.rawValue)) {
            counting = Counting(rawValue: text) ?? .exact
        }
        programs = try reader.string("programs")
    }

    private mutating func readTLS(_ connection: ConfigReader) throws {
        sslMode = try connection.choice("sslmode", of: Self.sslModes)
        sslFiles = (
            try connection.string("sslrootcert"), try connection.string("sslcert"), try connection.string("sslkey")
        )
        guard (sslFiles.certificate == nil) == (sslFiles.key == nil) else {
            throw connection.failure(
                sslFiles.key == nil ? "sslcert" : "sslkey", "'sslcert' and 'sslkey' belong together")
        }
        // libpq would go on in clear, or without looking at who answers.
        guard sslFiles.rootCertificate == nil || ["verify-ca", "verify-full"].contains(sslMode) else {
            throw connection.failure(
                "sslrootcert", "is looked at only with sslmode verify-ca or verify-full",
                hint: "Write 'sslmode: verify-full'.")
        }
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
                    "host": [
                        "type": "string", "description": "Host name, address, or folder of the Unix socket.",
                    ],
                    "port": ["type": "integer", "minimum": 1, "maximum": 65535],
                    "user": ["type": "string"],
                    "password": [
                        "type": "string", "description": "A reference to a secret: file:, env:, credential:.",
                    ],
                    "database": ["type": "string", "default": "postgres", "description": "The maintenance database."],
                    "sslmode": ["enum": .array(sslModes.map { .string($0) })],
                    "sslrootcert": [
                        "type": "string", "description": "File of the authority; with verify-ca, verify-full.",
                    ],
                    "sslcert": ["type": "string", "description": "File of the client's certificate."],
                    "sslkey": ["type": "string", "description": "File of its key, without a passphrase."],
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
            "lock-timeout": ["type": ["string", "integer"], "default": "30s"],
            "globals": ["type": "boolean", "default": true],
            "role-passwords": ["type": "boolean", "default": true],
            "facts": ["enum": ["exact", "estimate"], "default": "exact"],
            "programs": ["type": "string", "description": "Folder of psql, pg_dump, pg_dumpall and pg_restore."],
        ],
    ]
}
