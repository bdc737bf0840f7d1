// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for SQLite database files, of this host or beside what a transport reaches.
public struct SQLiteAdapterFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "sqlite" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { [.command, .sql] }

    public var canBeIndex: Bool { true }

    public var settingsSchema: JSONValue { SQLiteSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try SQLiteSettings(environment.source.settings, source: environment.source.name)
        guard environment.transport.reachesLocalFiles else {
            return FarSQLiteAdapter(settings: settings, environment: environment)
        }
        return SQLiteAdapter(settings: settings, environment: environment)
    }
}

/// One SQLite database file, copied with SQLite's own backup while applications go on using it.
struct SQLiteAdapter: SourceAdapter {
    let settings: SQLiteSettings
    let environment: AdapterEnvironment

    /// The bundle's stream.
    static let stream = "database"
}
