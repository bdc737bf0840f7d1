// SPDX-License-Identifier: Apache-2.0
import Domain

/// The settings of one Grafana, as read from the plan. The defaults are those of its packages
/// (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/).
struct GrafanaSettings: Sendable {
    var database = "/var/lib/grafana/grafana.db"
    /// `grafana.ini`.
    var configuration: String? = "/etc/grafana/grafana.ini"
    /// The folder of provisioned data sources, dashboards and alerts.
    var provisioning: String? = "/etc/grafana/provisioning"
    /// The folder of plugins; only their names and versions are stored.
    var plugins = "/var/lib/grafana/plugins"
    var busyTimeout: String?
    var temporaryDirectory: String?

    private static let keys = [
        "database", "configuration", "provisioning", "plugins", "busy-timeout", "temporary-directory",
    ]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, path: String) throws {
        let reader = try ConfigReader(node, path: path, allowed: Self.keys)
        func absolute(_ key: String, _ standard: String) throws -> String {
            let path = try reader.string(key) ?? standard
            guard path.hasPrefix("/"), !path.hasSuffix("/") else {
                throw reader.failure(key, "must be an absolute path without a last slash, not '\(path)'")
            }
            return path
        }
        database = try absolute("database", database)
        configuration =
            try reader.string("configuration") == "none" ? nil : try absolute("configuration", configuration ?? "")
        provisioning =
            try reader.string("provisioning") == "none" ? nil : try absolute("provisioning", provisioning ?? "")
        plugins = try absolute("plugins", plugins)
        busyTimeout = try reader.integer("busy-timeout", in: 0...3600).map(String.init)
        temporaryDirectory = try reader.string("temporary-directory").map { _ in try absolute("temporary-directory", "")
        }
    }

    /// What is stored as files.
    var paths: [String] { [configuration, provisioning].compactMap { $0 } }

    func databaseSettings(_ mark: ConfigMark) -> ConfigNode {
        func text(_ value: String) -> ConfigNode { .scalar(value, isQuoted: true, mark) }
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [("path", mark, text(database))]
        if let busyTimeout { pairs.append(("busy-timeout", mark, text(busyTimeout))) }
        if let temporaryDirectory { pairs.append(("temporary-directory", mark, text(temporaryDirectory))) }
        return .mapping(pairs, mark)
    }

    func filesSettings(_ mark: ConfigMark) -> ConfigNode {
        .mapping(
            [("paths", mark, .sequence(paths.map { .scalar($0, isQuoted: true, mark) }, mark))], mark)
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "database": ["type": "string", "pattern": "^/", "default": "/var/lib/grafana/grafana.db"],
            "configuration": [
                "type": "string", "default": "/etc/grafana/grafana.ini", "description": "grafana.ini, or 'none'.",
            ],
            "provisioning": [
                "type": "string", "default": "/etc/grafana/provisioning", "description": "A folder, or 'none'.",
            ],
            "plugins": [
                "type": "string", "pattern": "^/", "default": "/var/lib/grafana/plugins",
                "description": "The folder of plugins, of which names and versions are stored.",
            ],
            "busy-timeout": ["type": "integer", "minimum": 0, "maximum": 3600, "default": 30],
            "temporary-directory": ["type": "string", "pattern": "^/"],
        ],
    ]
}
