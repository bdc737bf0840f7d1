// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for Meilisearch servers.
public struct MeilisearchFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "meilisearch" }

    public var isData: Bool { true }

    public var canBeIndex: Bool { true }

    public var drillRefusal: DrillRefusal? { .needsEngine("Meilisearch") }

    public var settingsSchema: JSONValue { MeilisearchSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try MeilisearchSettings(environment.source.settings, source: environment.source.name)
        let adapter = MeilisearchAdapter(settings: settings, environment: environment)
        guard let directory = settings.dumpDirectory else { return adapter }
        return MeilisearchDumpAdapter(base: adapter, directory: directory)
    }
}
