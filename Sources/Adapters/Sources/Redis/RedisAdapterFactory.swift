// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for Redis and Valkey servers.
public struct RedisAdapterFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "redis" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { RedisSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        RedisAdapter(
            settings: try RedisSettings(environment.source.settings, source: environment.source.name),
            environment: environment)
    }
}
