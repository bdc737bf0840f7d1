// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for Typesense servers.
public struct TypesenseFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "typesense" }

    public var isData: Bool { true }

    public var canBeIndex: Bool { true }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { TypesenseSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        TypesenseAdapter(
            settings: try TypesenseSettings(environment.source.settings, source: environment.source.name),
            environment: environment)
    }
}
