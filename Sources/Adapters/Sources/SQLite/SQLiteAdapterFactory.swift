// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for SQLite database files of this host.
public struct SQLiteAdapterFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "sqlite" }

    public var isData: Bool { true }

    public var canBeIndex: Bool { true }

    public var settingsSchema: JSONValue { SQLiteSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        SQLiteAdapter(
            settings: try SQLiteSettings(environment.source.settings, source: environment.source.name),
            environment: environment)
    }
}

/// One SQLite database file, copied with SQLite's own backup while applications go on using it.
struct SQLiteAdapter: SourceAdapter {
    let settings: SQLiteSettings
    let environment: AdapterEnvironment

    /// The bundle's stream.
    static let stream = "database"

    /// Files of this host are all that can be reached.
    func requireLocal() throws {
        guard environment.transport.reachesLocalFiles else {
            throw Failure(
                .preflightRefused, "'\(settings.path)' is not reachable through \(environment.transport.description)",
                hint: "SQLite databases are backed up on the host that has them: use 'transport: local'.")
        }
    }
}
