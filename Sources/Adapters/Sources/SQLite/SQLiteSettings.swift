// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// A SQLite source's settings, as read from the plan.
struct SQLiteSettings: Sendable {
    /// Absolute path of the database file.
    var path: String
    /// Seconds to wait for a lock of somebody else's.
    var busyTimeoutSeconds = 30
    /// Where the private copy is made; it needs room for the whole database.
    var temporaryDirectory: String
    /// The same beside the database, when it is not on this host.
    var farTemporaryDirectory: String

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(node, path: source, allowed: ["path", "busy-timeout", "temporary-directory"])
        path = try reader.requiredString("path")
        guard path.hasPrefix("/"), !path.hasSuffix("/") else {
            throw reader.failure("path", "must be the absolute path of a file, not '\(path)'")
        }
        busyTimeoutSeconds = try reader.integer("busy-timeout", in: 0...3600) ?? busyTimeoutSeconds
        let named = try reader.string("temporary-directory")
        farTemporaryDirectory = named ?? "/tmp"
        temporaryDirectory =
            named ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/var/tmp"
        guard temporaryDirectory.hasPrefix("/") else {
            throw reader.failure("temporary-directory", "must be an absolute path, not '\(temporaryDirectory)'")
        }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "required": ["path"],
        "properties": [
            "path": ["type": "string", "pattern": "^/", "description": "the database file"],
            "busy-timeout": [
                "type": "integer", "minimum": 0, "maximum": 3600, "default": 30,
                "description": "seconds to wait for somebody else's lock",
            ],
            "temporary-directory": [
                "type": "string", "pattern": "^/",
                "description": "room beside the database for a private copy of it; default: $TMPDIR, else /var/tmp",
            ],
        ],
    ]
}
