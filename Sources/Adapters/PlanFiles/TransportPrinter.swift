// SPDX-License-Identifier: Apache-2.0
import Domain
import Yams

/// A transport as the plan that would give it.
enum TransportPrinter {
    static func node(_ settings: TransportSettings) -> Node {
        switch settings {
        case .local: ConfigPrinter.text("local")
        case .docker(let container): kind("docker", pairs(container))
        case .podman(let container): kind("podman", pairs(container))
        case .compose(let compose):
            kind(
                "compose",
                [
                    ("project", compose.project), ("service", compose.service), ("user", compose.user),
                    ("engine", compose.engine),
                ])
        case .kubernetes(let kubernetes): kind("kubernetes", pairs(kubernetes))
        case .ssh(let ssh):
            kind(
                "ssh",
                [
                    ("host", ssh.host), ("user", ssh.user), ("port", ssh.port.map { String($0) }),
                    ("identity", ssh.identity), ("known-hosts", ssh.knownHosts),
                ])
        }
    }

    private static func pairs(_ container: ContainerSettings) -> [(String, String?)] {
        [("container", container.container), ("user", container.user), ("engine", container.engine)]
    }

    private static func pairs(_ settings: KubernetesSettings) -> [(String, String?)] {
        let pod: (String, String?) =
            switch settings.pod {
            case .name(let name): ("pod", name)
            case .selector(let selector): ("selector", selector)
            }
        return [
            ("namespace", settings.namespace), pod, ("container", settings.container), ("context", settings.context),
            ("kubeconfig", settings.kubeconfig),
        ]
    }

    private static func kind(_ name: String, _ pairs: [(String, String?)]) -> Node {
        let given = pairs.compactMap { pair in pair.1.map { (pair.0, ConfigPrinter.text($0)) } }
        return ConfigPrinter.mapping([(name, ConfigPrinter.mapping(given))])
    }
}
