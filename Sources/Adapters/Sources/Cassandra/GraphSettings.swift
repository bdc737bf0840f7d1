// SPDX-License-Identifier: Apache-2.0
import Domain

/// What a `janusgraph` source has beyond the ring that stores it.
struct GraphSettings: Sendable {
    /// Keyspaces of graphs.
    var graphs: [String]
    /// The keyspace in which ConfiguredGraphFactory keeps the graphs' configurations; nil: there is none.
    var configurationGraph: String?
    /// The table of id blocks (`ids.store-name`).
    var idTable: String
    /// Product and address of the index backend, for people; its data is not in the bundle.
    var indexBackend: String?
    /// The Gremlin console with its first arguments, and a properties file that opens the restored graph; nil: what it
    /// would do is printed.
    var console: [String]?
    var properties: String?

    static let keys = ["graphs", "configuration-graph", "id-table", "index-backend", "checklist"]
    /// The keyspace that ConfiguredGraphFactory uses unless told otherwise.
    static let usualConfigurationGraph = "configurationmanagementgraph"

    init(_ reader: ConfigReader) throws {
        graphs = try reader.strings("graphs") ?? ["janusgraph"]
        guard !graphs.isEmpty else { throw reader.failure("graphs", "must name at least one keyspace") }
        configurationGraph = try reader.string("configuration-graph")
        idTable = try reader.string("id-table") ?? "janusgraph_ids"
        indexBackend = try reader.string("index-backend")
        if let checklist = try reader.mapping("checklist", allowed: ["console", "properties"]) {
            console = try checklist.strings("console")
            properties = try checklist.string("properties")
            guard console?.isEmpty == false, let properties, properties.hasPrefix("/"), !properties.contains("'") else {
                throw checklist.failure("properties", "is required beside 'console', as an absolute path")
            }
        }
    }

    /// All keyspaces of the source.
    var keyspaces: [String] { graphs + (configurationGraph.map { [$0] } ?? []) }

    static let properties: [String: JSONValue] = [
        "graphs": [
            "type": ["array", "string"], "items": ["type": "string"], "default": ["janusgraph"],
            "description": "keyspaces of graphs",
        ],
        "configuration-graph": [
            "type": "string",
            "description": "keyspace of ConfiguredGraphFactory's ConfigurationManagementGraph, where it is used",
        ],
        "id-table": ["type": "string", "default": "janusgraph_ids"],
        "index-backend": [
            "type": "string",
            "description":
                "product and address of the index backend, for the record: its indexes are not in the bundle",
        ],
        "checklist": [
            "type": "object", "additionalProperties": false, "required": ["console", "properties"],
            "properties": [
                "console": [
                    "type": ["array", "string"], "items": ["type": "string"],
                    "description": "Gremlin console that closes the restored instances after a promotion",
                ],
                "properties": ["type": "string", "pattern": "^/", "description": "the graph's properties file"],
            ],
        ],
    ]
}

/// What a bundle says of graphs.
struct GraphRecord: Sendable, Codable, Equatable {
    struct Graph: Sendable, Codable, Equatable {
        var keyspace: String
        /// Instances that were registered: after a restore they are dead and hold up every change of an index.
        var instances: [String]
        /// Options stored in the graph that win over a properties file, as far as they can be read.
        var options: [String: String]
    }

    var graphs: [Graph]
    var configurationGraph: String?
    var idTable: String
    var indexBackend: String?

    /// Names of mixed index backends that occur in stored options.
    var indexNames: [String] {
        Set(
            graphs.flatMap { $0.options.keys }.compactMap { key -> String? in
                let parts = key.split(separator: ".")
                return parts.count > 2 && parts[0] == "index" ? String(parts[1]) : nil
            }
        ).sorted()
    }

    /// What a restore's plan warns of.
    func warnings(_ state: CassandraRestoreState) -> [String] {
        var warnings = ["stop every JanusGraph server before, and start none before the checklist is done"]
        if state.isRenamed, !indexNames.isEmpty {
            warnings.append(
                "the copy's stored options name the live index (\(indexNames.joined(separator: ", "))): correct "
                    + "index-name through management before it is opened, or it writes into the live index")
        }
        let chosen = Set(state.tables.map(\.captured.keyspace))
        for graph in graphs where chosen.contains(graph.keyspace) {
            let tables = Set(state.tables.filter { $0.captured.keyspace == graph.keyspace }.map(\.captured.name))
            if !tables.isSuperset(of: ["edgestore", "graphindex", idTable]) {
                warnings.append("graph '\(graph.keyspace)' is restored in part: its tables belong together")
            }
        }
        return warnings
    }

    /// What remains to be done by hand, in order.
    func checklist(closed: Bool) -> [String] {
        var list: [String] = []
        for graph in graphs where !graph.instances.isEmpty && !closed {
            list.append(
                "close the instances that were registered in '\(graph.keyspace)': "
                    + graph.instances.map { "mgmt.forceCloseInstance('\($0)')" }.joined(separator: "; ")
                    + "; mgmt.commit()")
        }
        list.append(
            "claim and discard a few id blocks (add and roll back vertices) before the first write: blocks that were "
                + "handed out after the copy are unknown to '\(idTable)'")
        if !indexNames.isEmpty || indexBackend != nil {
            list.append(
                "restore the index backend (\(indexBackend ?? indexNames.joined(separator: ", "))) to the same moment, or "
                    + "run mgmt.updateIndex(INDEX, SchemaAction.REINDEX).get() for every mixed index")
        }
        list.append("see that every index is ENABLED, and compare g.V().count() and labels with what is expected")
        if configurationGraph != nil {
            list.append(
                "ConfiguredGraphFactory: updateConfiguration for graphs whose hosts or keyspaces differ here; never drop()"
            )
        }
        return list
    }
}
