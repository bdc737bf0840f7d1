// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters of kind `postgresql`: logical backups of PostgreSQL servers.
public struct PostgreSQLFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "postgresql" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { [.command, .sql] }

    /// A JSON Schema (draft 2020-12) object for the settings read by `make`.
    public var settingsSchema: JSONValue { PostgreSQLSettings.schema }

    /// Reads the settings strictly and makes the adapter; reaches nothing yet.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        PostgreSQLAdapter(
            environment: environment,
            settings: try PostgreSQLSettings(environment.source.settings, path: "sources.\(environment.source.name)"))
    }
}
