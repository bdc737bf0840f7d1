// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for etcd clusters.
public struct EtcdFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "etcd" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { EtcdSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        EtcdAdapter(
            settings: try EtcdSettings(environment.source.settings, path: environment.source.name),
            environment: environment)
    }
}
