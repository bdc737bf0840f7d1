// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for MariaDB servers, and for MySQL servers as far as the two are the same.
public struct MariaDBFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "mariadb" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { [.command, .sql] }

    public var settingsSchema: JSONValue { MariaDBSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        MariaDBAdapter(
            settings: try MariaDBSettings(environment.source.settings, path: environment.source.name),
            environment: environment)
    }
}
