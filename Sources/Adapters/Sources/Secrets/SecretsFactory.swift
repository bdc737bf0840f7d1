// SPDX-License-Identifier: Apache-2.0
public import Domain
import Files

/// Makes adapters for files that hold secrets: keys, certificates, environment files.
public struct SecretsFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "secrets" }

    public var isData: Bool { false }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { SecretsSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try SecretsSettings(environment.source.settings, path: environment.source.name)
        var inner = environment
        inner.source.settings = settings.files
        return SecretsAdapter(settings: settings, files: try FilesFactory().make(inner))
    }
}
