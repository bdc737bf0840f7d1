// SPDX-License-Identifier: Apache-2.0
public import Domain
import Files

/// Makes adapters for log directories of this host.
public struct LogsFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "logs" }

    public var isData: Bool { false }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { LogsSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try LogsSettings(environment.source.settings, path: environment.source.name)
        let adapter = LogsAdapter(settings: settings, environment: environment)
        // What is wrong with the patterns is said now, not at night.
        _ = try adapter.files()
        return adapter
    }
}
