// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for rings of Apache Cassandra 3.11 to 5.0 and DataStax HCD.
public struct CassandraFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "cassandra" }

    public var isData: Bool { true }

    public var drillRefusal: DrillRefusal? { .needsEngine("Cassandra") }

    public var settingsSchema: JSONValue { CassandraSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        try CassandraAdapter(
            CassandraSettings(environment.source.settings, source: environment.source.name), environment)
    }
}
