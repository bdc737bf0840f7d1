// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for whatever a program prints.
public struct CommandFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "command" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { .command }

    public var drillsByProgram: Bool { true }

    public var settingsSchema: JSONValue { CommandSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        CommandAdapter(
            settings: try CommandSettings(environment.source.settings, path: environment.source.name),
            environment: environment)
    }
}
