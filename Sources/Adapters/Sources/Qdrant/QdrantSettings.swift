// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// A Qdrant source's settings, as read from the plan.
struct QdrantSettings: Sendable {
    /// One server of a cluster.
    struct Node: Sendable {
        /// Empty for a server that stands alone.
        var name: String
        var web: WebSettings
        /// How it is reached, where that differs from the source's transport.
        var transport: ConfigNode?
    }

    static let port = 6333
    /// Every node whose shards are wanted.
    var nodes: [Node]
    var collections: ChosenNames
    /// Seconds without a byte that end an ordinary request.
    var timeout = 60
    /// Seconds that making or loading a snapshot may take.
    var snapshotTimeout = 3600

    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(
            node, path: source,
            allowed: ["connection", "nodes", "collections", "exclude", "timeout", "snapshot-timeout"])
        let web = try WebSettings(reader, port: Self.port, usesKey: true)
        nodes = [Node(name: "", web: web)]
        collections = try ChosenNames(reader, "collections")
        timeout = try reader.integer("timeout", in: 1...3600) ?? timeout
        snapshotTimeout = try reader.integer("snapshot-timeout", in: 1...86_400) ?? snapshotTimeout
        guard let list = try reader.sequence("nodes") else { return }
        guard list.count > 1 else { throw reader.failure("nodes", "lists the nodes of a cluster: name two or more") }
        nodes = try list.enumerated().map { index, node in
            let entry = try ConfigReader(
                node, path: "\(source).nodes[\(index)]", allowed: ["name", "url", "transport"])
            let name = try entry.requiredString("name")
            guard SafeName.isValid(name), name.utf8.count <= 40 else {
                throw entry.failure("name", "'\(name)' is not a short name")
            }
            var settings = web
            try settings.take(url: try entry.requiredString("url")) { entry.failure("url", $0) }
            return Node(name: name, web: settings, transport: entry.node("transport"))
        }
        guard Set(nodes.map(\.name)).count == nodes.count else { throw reader.failure("nodes", "repeats a name") }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "connection": WebSettings.schema(port: port, usesKey: true),
            "nodes": [
                "type": "array", "minItems": 2,
                "description": "every node of a cluster, by an address that leads to this node only",
                "items": [
                    "type": "object", "additionalProperties": false, "required": ["name", "url"],
                    "properties": [
                        "name": ["type": "string"], "url": ["type": "string", "pattern": "^https?://"],
                        "transport": ["description": "as a source's; default: the source's own"],
                    ],
                ],
            ],
            "collections": ChosenNames.schema,
            "exclude": ChosenNames.excludeSchema,
            "timeout": ["type": "integer", "minimum": 1, "maximum": 3600, "default": 60],
            "snapshot-timeout": [
                "type": "integer", "minimum": 1, "maximum": 86400, "default": 3600,
                "description": "seconds that making or loading one snapshot may take",
            ],
        ],
    ]
}
