// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for the time series of a Prometheus server of this host.
public struct PrometheusFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "prometheus" }

    public var isData: Bool { true }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { PrometheusSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        PrometheusAdapter(
            settings: try PrometheusSettings(environment.source.settings, path: environment.source.name),
            environment: environment)
    }
}
