// SPDX-License-Identifier: Apache-2.0
import Domain

extension CassandraSettings {
    /// The schema's properties; `janusgraph` adds its own.
    static let properties: [String: JSONValue] = {
        let port: JSONValue = ["type": "integer", "minimum": 1, "maximum": 65_535]
        let path: JSONValue = ["type": "string", "pattern": "^/"]
        let paths: JSONValue = ["type": ["array", "string"], "items": ["type": "string", "pattern": "^/"]]
        func command(_ name: String) -> JSONValue {
            [
                "type": ["array", "string"], "items": ["type": "string"],
                "description": .string("\(name) with its first arguments, as the node's transport finds it"),
            ]
        }
        let yaml: JSONValue = [
            "type": "string", "pattern": "^/", "default": .string(defaultYAML),
            "description": "cassandra.yaml beside the node: it names the data directories",
        ]
        return [
            "product": [
                "enum": ["cassandra", "hcd"], "default": "cassandra",
                "description": "whose server: SSTables of Apache Cassandra and of DataStax HCD do not mix",
            ],
            "scope": [
                "enum": ["cluster", "node"], "default": "cluster",
                "description":
                    "cluster: all nodes of the ring in one bundle; node: one node, its ring has a source on each",
            ],
            "group": [
                "type": "string", "description": "the ring's name, equal in the plans of all its nodes (scope: node)",
            ],
            "nodes": [
                "type": "array", "description": "default: one node, where the source's transport leads",
                "items": [
                    "type": "object", "required": ["name"], "additionalProperties": false,
                    "properties": [
                        "name": ["type": "string"],
                        "transport": ["description": "how this node is reached; default: as the source"],
                        "host": ["type": "string", "description": "what its tools connect to; default: their own"],
                        "jmx-port": port, "cql-port": port, "cassandra-yaml": yaml, "data-directories": paths,
                        "configuration": paths,
                    ],
                ],
            ],
            "keyspaces": [
                "type": ["array", "string"], "items": ["type": "string"], "default": "all",
                "description": "which keyspaces; all: the server's own, too",
            ],
            "count-rows": [
                "type": ["array", "string"], "items": ["type": "string"],
                "description":
                    "tables (keyspace.table, * for any) whose rows are counted before and after the snapshot",
            ],
            "cassandra-yaml": yaml,
            "data-directories": paths,
            "configuration": paths,
            "connection": [
                "type": "object", "additionalProperties": false,
                "properties": [
                    "jmx": [
                        "type": "object", "additionalProperties": false,
                        "properties": [
                            "user": ["type": "string"], "password-file": path, "tls": ["type": "boolean"],
                        ],
                    ],
                    "cql": [
                        "type": "object", "additionalProperties": false,
                        "properties": [
                            "cqlshrc": path, "credentials": path, "tls": ["type": "boolean"],
                            "request-timeout": ["type": "integer", "minimum": 1, "maximum": 86_400, "default": 60],
                        ],
                    ],
                ],
            ],
            "commands": [
                "type": "object", "additionalProperties": false,
                "properties": [
                    "nodetool": command("nodetool"), "cqlsh": command("cqlsh"),
                    "sstableloader": command("sstableloader"),
                ],
            ],
            "restore": [
                "type": "object", "additionalProperties": false,
                "properties": [
                    "directory": [
                        "type": "string", "pattern": "^/",
                        "description":
                            "where files are laid down beside a node, in the file system of its data; default: salvor_restore beside the first data directory",
                    ],
                    "stage": [
                        "enum": ["keyspace", "files"], "default": "keyspace",
                        "description":
                            "keyspace: loaded into a keyspace beside the live one; files: only laid down and checked",
                    ],
                    "loader-hosts": [
                        "type": ["array", "string"], "items": ["type": "string"],
                        "description": "addresses that sstableloader begins with; default: the plan's nodes",
                    ],
                ],
            ],
        ]
    }()

    static let schema: JSONValue = [
        "type": "object", "additionalProperties": false, "properties": .object(properties),
    ]
}
