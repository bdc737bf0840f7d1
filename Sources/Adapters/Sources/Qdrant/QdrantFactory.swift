// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for Qdrant servers.
public struct QdrantFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "qdrant" }

    public var isData: Bool { true }

    public var canBeIndex: Bool { true }

    public var drillRefusal: DrillRefusal? { .needsEngine("Qdrant") }

    public var settingsSchema: JSONValue { QdrantSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try QdrantSettings(environment.source.settings, source: environment.source.name)
        for transport in settings.nodes.compactMap(\.transport) { _ = try environment.transport(ofPart: transport) }
        return QdrantAdapter(settings: settings, environment: environment)
    }
}
