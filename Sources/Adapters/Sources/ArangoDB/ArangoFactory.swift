// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for ArangoDB servers.
public struct ArangoFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "arangodb" }

    public var isData: Bool { true }

    public var drillRefusal: DrillRefusal? { .needsEngine("ArangoDB") }

    public var settingsSchema: JSONValue { ArangoSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        ArangoAdapter(
            settings: try ArangoSettings(environment.source.settings, source: environment.source.name),
            environment: environment)
    }
}
