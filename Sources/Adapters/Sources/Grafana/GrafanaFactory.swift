// SPDX-License-Identifier: Apache-2.0
public import Domain
import Files
import SQLite

/// Makes adapters for a Grafana of this host that keeps its data in SQLite.
public struct GrafanaFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "grafana" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { [.command, .sql] }

    public var settingsSchema: JSONValue { GrafanaSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try GrafanaSettings(environment.source.settings, path: environment.source.name)
        var (database, files) = (environment, environment)
        database.source.settings = settings.databaseSettings(environment.source.mark)
        files.source.settings = settings.filesSettings(environment.source.mark)
        return GrafanaAdapter(
            settings: settings, database: try SQLiteAdapterFactory().make(database),
            files: settings.paths.isEmpty ? nil : try FilesFactory().make(files))
    }
}
