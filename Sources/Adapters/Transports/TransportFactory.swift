// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes transports of a plan's settings.
public enum TransportFactory {
    /// The transport; nothing is reached yet.
    ///
    /// - Parameter environment: variables for the clients (`docker`, `podman`, `kubectl`, `ssh`) over those of this process.
    public static func make(
        _ settings: TransportSettings, environment: [String: String] = [:]
    ) -> any Transport {
        switch settings {
        case .local: LocalTransport()
        case .docker(let container): FarTransport(carrier(.docker, container, environment))
        case .podman(let container): FarTransport(carrier(.podman, container, environment))
        case .compose(let compose):
            FarTransport(
                ContainerCarrier(
                    .docker, .service(compose.service, project: compose.project), user: compose.user,
                    address: compose.engine, environment: environment))
        case .kubernetes(let kubernetes): FarTransport(KubernetesCarrier(kubernetes, environment: environment))
        case .ssh(let ssh): FarTransport(SSHCarrier(ssh, environment: environment))
        }
    }

    private static func carrier(
        _ engine: ContainerCarrier.Engine, _ settings: ContainerSettings, _ environment: [String: String]
    ) -> ContainerCarrier {
        ContainerCarrier(
            engine, .named(settings.container), user: settings.user, address: settings.engine, environment: environment)
    }
}
