// SPDX-License-Identifier: Apache-2.0

/// How the commands, files and ports of a source are reached.
public enum TransportSettings: Sendable, Equatable {
    case local
    case docker(ContainerSettings)
    case podman(ContainerSettings)
    case compose(ComposeSettings)
    case kubernetes(KubernetesSettings)
    case ssh(SSHSettings)
}

/// One container, by its name or id.
public struct ContainerSettings: Sendable, Equatable {
    public var container: String
    /// The user (`name`, `uid` or `uid:gid`) that programs run as; nil: the container's own.
    public var user: String?
    /// The engine's address, such as `unix:///run/docker.sock`; nil: what the client's environment says.
    public var engine: String?

    public init(container: String, user: String? = nil, engine: String? = nil) {
        self.container = container
        self.user = user
        self.engine = engine
    }
}

/// The container of a service of a compose project, found by its labels.
public struct ComposeSettings: Sendable, Equatable {
    public var project: String
    public var service: String
    /// As in `ContainerSettings`.
    public var user: String?
    /// As in `ContainerSettings`.
    public var engine: String?

    public init(project: String, service: String, user: String? = nil, engine: String? = nil) {
        self.project = project
        self.service = service
        self.user = user
        self.engine = engine
    }
}

/// One pod, by its name or by labels that only one running pod has.
public struct KubernetesSettings: Sendable, Equatable {
    /// How the pod is chosen.
    public enum Pod: Sendable, Equatable {
        case name(String)
        /// A label selector as `kubectl --selector` takes it.
        case selector(String)
    }

    /// nil: that of the context, or the pod that Salvor runs in.
    public var namespace: String?
    public var pod: Pod
    /// nil: the only one, or the one that the pod's annotation names.
    public var container: String?
    /// nil: the current one.
    public var context: String?
    /// A file; nil: what kubectl finds (`KUBECONFIG`, `~/.kube/config`, the service account of the pod it runs in).
    public var kubeconfig: String?

    public init(
        namespace: String? = nil, pod: Pod, container: String? = nil, context: String? = nil, kubeconfig: String? = nil
    ) {
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.context = context
        self.kubeconfig = kubeconfig
    }
}

/// A host reached by the system's `ssh`, whose configuration also counts (`~/.ssh/config`).
public struct SSHSettings: Sendable, Equatable {
    public var host: String
    public var user: String?
    public var port: Int?
    /// A file with a private key; nil: what ssh finds.
    public var identity: String?
    /// A file with host keys, in the place of ssh's own.
    public var knownHosts: String?

    public init(
        host: String, user: String? = nil, port: Int? = nil, identity: String? = nil, knownHosts: String? = nil
    ) {
        self.host = host
        self.user = user
        self.port = port
        self.identity = identity
        self.knownHosts = knownHosts
    }
}
