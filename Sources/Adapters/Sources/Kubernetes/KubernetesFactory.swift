// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters of kind `kubernetes`: objects of a cluster, chosen by kind, namespace and label.
public struct KubernetesFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "kubernetes" }

    /// Configuration: what a cluster is told to be, not what its programs store.
    public var isData: Bool { false }

    public var drillRefusal: DrillRefusal? {
        DrillRefusal(
            "Salvor starts no cluster of its own",
            instead:
                "Try its objects on a test cluster with 'salvor restore --stage-only' and a plan that reaches that one, or "
                + "prove the bundle with 'salvor validate-backup --level contents'; leave it out here with --source.")
    }

    public var settingsSchema: JSONValue { KubernetesSettings.schema }

    /// Reads the settings strictly and makes the adapter; reaches nothing yet.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        KubernetesAdapter(
            settings: try KubernetesSettings(environment.source.settings, source: environment.source.name),
            environment: environment)
    }
}

/// Objects of one cluster, read and applied with the `kubectl` beside the source.
struct KubernetesAdapter: SourceAdapter {
    let settings: KubernetesSettings
    let environment: AdapterEnvironment

    var kubectl: Kubectl { Kubectl(transport: environment.transport, settings: settings) }

    /// The bundle's only stream: every object in one YAML document of its own.
    static let stream = "objects"
    /// Who owns the fields that a restore sets.
    static let fieldManager = "salvor"
}
