// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of one etcd source, as read from the plan.
struct EtcdSettings: Sendable {
    /// `http://host:port` or `https://host:port` of one member.
    var endpoint = "http://127.0.0.1:2379"
    var host = "127.0.0.1"
    var port = 2379
    var user: String?
    var password: SecretReference?
    var authorityFile: String?
    var certificateFile: String?
    var keyFile: String?
    /// The folder of the programs; nil: found in PATH.
    var programs: String?
    /// Where the snapshot lies while it is read, beside the member.
    var temporaryDirectory = "/var/tmp"

    // Restore.
    /// The live member's data folder; nil: the copy is put in place by hand.
    var dataDirectory: String?
    /// The member's name; nil: as captured.
    var name: String?
    /// `name=url,…` of all members; nil: as captured.
    var initialCluster: String?
    /// The member's peer URLs; nil: as captured.
    var peerURLs: [String]?
    /// Adds so much to the revision, so that watchers notice; needs etcd 3.5.10.
    var bumpRevision: Int?
    var stop: [String]?
    var start: [String]?

    private static let keys = ["connection", "programs", "temporary-directory", "restore"]
    private static let connectionKeys = ["endpoint", "user", "password", "tls"]
    private static let restoreKeys = [
        "data-directory", "name", "initial-cluster", "peer-urls", "bump-revision", "stop", "start",
    ]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.keys)
        if let connection = try reader.mapping("connection", allowed: Self.connectionKeys) {
            try readConnection(connection)
        }
        programs = try reader.string("programs")
        temporaryDirectory = try reader.string("temporary-directory") ?? temporaryDirectory
        guard temporaryDirectory.hasPrefix("/") else {
            throw reader.failure("temporary-directory", "must be an absolute path, not '\(temporaryDirectory)'")
        }
        if let restore = try reader.mapping("restore", allowed: Self.restoreKeys) { try readRestore(restore) }
    }

    private mutating func readConnection(_ connection: ConfigReader) throws {
        endpoint = try connection.string("endpoint") ?? endpoint
        let rest = endpoint.droppingPrefix("http://") ?? endpoint.droppingPrefix("https://")
        guard let rest, !rest.contains("/"), !rest.contains("@"), !rest.contains(","),
            let colon = rest.lastIndex(of: ":"), let port = Int(rest[rest.index(after: colon)...]),
            (1...65535).contains(port), colon > rest.startIndex
        else {
            throw connection.failure(
                "endpoint", "must be one member's http://host:port or https://host:port, not '\(endpoint)'")
        }
        self.port = port
        host = String(rest[..<colon].filter { $0 != "[" && $0 != "]" })
        user = try connection.string("user")
        password = try connection.secret("password")
        if let user, user.contains(":") { throw connection.failure("user", "must not hold a colon") }
        if (user == nil) != (password == nil) { throw connection.failure("user", "and 'password' belong together") }
        if let tls = try connection.mapping("tls", allowed: ["ca-file", "certificate-file", "key-file"]) {
            guard endpoint.hasPrefix("https:") else {
                throw connection.failure("tls", "needs an https endpoint, not '\(endpoint)'")
            }
            authorityFile = try tls.string("ca-file")
            certificateFile = try tls.string("certificate-file")
            keyFile = try tls.string("key-file")
            if (certificateFile == nil) != (keyFile == nil) {
                throw tls.failure("certificate-file", "and 'key-file' belong together")
            }
        }
    }

    private mutating func readRestore(_ restore: ConfigReader) throws {
        dataDirectory = try restore.string("data-directory")
        if let dataDirectory, !dataDirectory.hasPrefix("/") || dataDirectory.hasSuffix("/") {
            throw restore.failure("data-directory", "must be an absolute path without a last slash")
        }
        name = try restore.string("name")
        initialCluster = try restore.string("initial-cluster")
        peerURLs = try restore.strings("peer-urls")
        bumpRevision = try restore.integer("bump-revision", in: 1...Int.max)
        for key in ["stop", "start"] {
            guard let node = restore.node(key) else { continue }
            guard case .sequence = node, let words = try restore.strings(key), words.first?.isEmpty == false else {
                throw restore.failure(key, "must be a list of a program and its arguments")
            }
            if key == "stop" { stop = words } else { start = words }
        }
    }

    static let schema: JSONValue = {
        let words: JSONValue = ["type": "array", "items": ["type": "string"], "minItems": 1]
        return [
            "type": "object",
            "additionalProperties": false,
            "properties": [
                "connection": [
                    "type": "object",
                    "additionalProperties": false,
                    "properties": [
                        "endpoint": [
                            "type": "string", "pattern": "^https?://", "default": "http://127.0.0.1:2379",
                            "description": "One member.",
                        ],
                        "user": ["type": "string"],
                        "password": [
                            "type": "string", "description": "A reference to a secret: file:, env:, credential:.",
                        ],
                        "tls": [
                            "type": "object",
                            "additionalProperties": false,
                            "properties": [
                                "ca-file": ["type": "string"], "certificate-file": ["type": "string"],
                                "key-file": ["type": "string"],
                            ],
                        ],
                    ],
                ],
                "programs": ["type": "string", "description": "Folder of etcdctl, etcdutl and etcd."],
                "temporary-directory": [
                    "type": "string", "pattern": "^/", "default": "/var/tmp",
                    "description": "Room for the snapshot beside the member while it is read.",
                ],
                "restore": [
                    "type": "object",
                    "additionalProperties": false,
                    "properties": [
                        "data-directory": [
                            "type": "string", "pattern": "^/", "description": "The live member's data folder.",
                        ],
                        "name": ["type": "string", "description": "The member's name; default: as captured."],
                        "initial-cluster": ["type": "string", "description": "Default: the members as captured."],
                        "peer-urls": ["type": ["array", "string"], "items": ["type": "string"]],
                        "bump-revision": [
                            "type": "integer", "minimum": 1,
                            "description": "Adds to the revision, for a Kubernetes cluster (etcd 3.5.10).",
                        ],
                        "stop": words,
                        "start": words,
                    ],
                ],
            ],
        ]
    }()
}
