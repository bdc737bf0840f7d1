// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for JanusGraph stored in Cassandra: the keyspaces of its graphs, taken and put back together.
public struct JanusGraphFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "janusgraph" }

    public var isData: Bool { true }

    public var drillRefusal: DrillRefusal? { .needsEngine("JanusGraph") }

    public var settingsSchema: JSONValue {
        let properties = CassandraSettings.properties.filter { $0.key != "keyspaces" }
            .merging(GraphSettings.properties) { _, own in own }
        return ["type": "object", "additionalProperties": false, "properties": .object(properties)]
    }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let keys = CassandraSettings.keys.filter { $0 != "keyspaces" } + GraphSettings.keys
        let reader = try ConfigReader(environment.source.settings, path: "", allowed: keys)
        let graph = try GraphSettings(reader)
        var settings = try CassandraSettings(reader, source: environment.source.name)
        settings.keyspaces = graph.keyspaces
        return try CassandraAdapter(settings, environment, graph: graph)
    }
}
