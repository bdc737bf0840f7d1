// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// A container of a pod, reached with `kubectl`.
struct KubernetesCarrier: Carrier {
    /// The pod and the container that are meant.
    struct Target: Sendable, Equatable {
        var pod: String
        var container: String
    }

    let settings: KubernetesSettings
    /// Added to the client's environment.
    let environment: [String: String]
    private let target = Remembered<Target>()
    private let local = LocalTransport()

    init(_ settings: KubernetesSettings, environment: [String: String]) {
        self.settings = settings
        self.environment = environment
    }

    var description: String {
        let place = settings.namespace.map { "\($0)/" } ?? ""
        switch settings.pod {
        case .name(let name): return "kubernetes:\(place)\(name)"
        case .selector(let selector): return "kubernetes:\(place){\(selector)}"
        }
    }

    func shell() async throws -> Program {
        let target = try await chosen()
        return client(
            ["exec", "--stdin", "--container", target.container, target.pod, "--"] + FarProtocol.shell)
    }

    func forget() async { await target.forget() }

    func client(_ arguments: [String]) -> Program {
        var words: [String] = []
        if let file = settings.kubeconfig { words += ["--kubeconfig", file] }
        if let context = settings.context { words += ["--context", context] }
        if let namespace = settings.namespace { words += ["--namespace", namespace] }
        return Program("kubectl", words + arguments, environment: environment)
    }

    /// The pod and container that the settings mean, as the API server knows them now.
    func chosen() async throws -> Target {
        try await target.value {
            let query: [String]
            switch settings.pod {
            case .name(let name): query = [name]
            case .selector(let selector): query = ["--selector", selector]
            }
            let (bytes, exit) = try await ask(client(["get", "pods", "--output", "json"] + query))
            guard exit.isSuccess else { throw failure(exit) }
            let pods: [PodStatus]
            do { pods = try PodStatus.read(bytes) } catch {
                throw Failure(
                    .sourceUnreachable, "\(description): 'kubectl get pods' printed something else than expected")
            }
            let pod = try one(of: pods)
            return Target(pod: pod.metadata.name, container: try container(of: pod))
        }
    }

    /// Within half a minute. kubectl has a time limit of its own (`--request-timeout`), but given one it takes its
    /// configuration for more than the default, and does not look for the service account of the pod that it runs in.
    private func ask(_ get: Program) async throws -> ([UInt8], ProgramExit) {
        do { return try await Patience.run(seconds: 30) { try await local.outputAndExit(of: get) } } catch is Patience
            .Spent
        {
            throw Failure(
                .sourceUnreachable, "\(description): the API server does not answer within 30 seconds",
                hint: "Is 'kubeconfig' right, and the server up?")
        }
    }

    private func one(of pods: [PodStatus]) throws -> PodStatus {
        let running = pods.filter(\.isRunning)
        if running.count == 1 { return running[0] }
        guard running.isEmpty else {
            throw Failure(
                .sourceUnreachable,
                "\(description): \(running.count) running pods match: "
                    + running.map(\.metadata.name).sorted().joined(separator: ", "),
                hint: "Name the one that is meant with 'pod', or give a selector that only it matches.")
        }
        guard !pods.isEmpty else {
            throw Failure(
                .sourceUnreachable, "\(description): no pod matches",
                hint: "Look with 'kubectl get pods --show-labels'; correct 'transport' in the plan.")
        }
        throw Failure(
            .sourceUnreachable,
            "\(description): no running pod: "
                + pods.map { "\($0.metadata.name) is \($0.state)" }.sorted().joined(separator: ", "),
            hint: "Look with 'kubectl describe pod'.")
    }

    private func container(of pod: PodStatus) throws -> String {
        let names = pod.spec.containers.map(\.name)
        if let wanted = settings.container {
            guard names.contains(wanted) else {
                throw Failure(
                    .sourceUnreachable, "\(description): pod '\(pod.metadata.name)' has no container '\(wanted)'",
                    hint: NearestName.of(wanted, among: names).map { "Did you mean '\($0)'?" }
                        ?? "It has \(names.joined(separator: ", ")).")
            }
            return wanted
        }
        if let name = pod.metadata.annotations?["kubectl.kubernetes.io/default-container"], names.contains(name) {
            return name
        }
        guard names.count == 1 else {
            throw Failure(
                .sourceUnreachable,
                "\(description): pod '\(pod.metadata.name)' has \(names.count) containers: "
                    + names.joined(separator: ", "), hint: "Name the one that is meant with 'container'.")
        }
        return names[0]
    }

    /// kubectl says the status of the far program once more.
    func farWords(_ standardError: String) -> String {
        standardError.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("command terminated with exit code ") }.joined(separator: "\n")
    }

    func failure(_ exit: ProgramExit) -> Failure {
        let said = exit.standardError.split(separator: "\n").last.map { ": \($0)" } ?? ""
        let table: [(text: String, code: Failure.Code, problem: String, hint: String)] = [
            (
                // Of exec and port-forward the reason is not in parentheses.
                " is forbidden: ", .sourceDenied, "no permission\(said)",
                "Grant 'get' and 'list' of pods and 'create' of pods/exec and pods/portforward in the namespace."
            ),
            (
                "(unauthorized)", .sourceDenied, "the API server does not accept the credentials",
                "Check the user of the kubeconfig, or the service account's token."
            ),
            (
                "must be logged in to the server", .sourceDenied, "the API server does not accept the credentials",
                "Check the user of the kubeconfig, or the service account's token."
            ),
            (
                "namespaces \"", .sourceUnreachable, "there is no such namespace",
                "Correct 'namespace' of the transport."
            ),
            (
                "(notfound)", .sourceUnreachable, "there is no such pod",
                "Pods of deployments change their names: give a 'selector' instead."
            ),
            (
                "does not exist", .sourceUnreachable, "the kubeconfig lacks it\(said)",
                "Correct 'context' or 'kubeconfig'."
            ),
            (
                "error: stat ", .sourceUnreachable, "the kubeconfig cannot be read\(said)", "Correct 'kubeconfig'."
            ),
            (
                "connection to the server", .sourceUnreachable, "the API server does not answer\(said)",
                "Is 'kubeconfig' right? Inside a pod, is its service account's token mounted?"
            ),
            (
                "unable to connect to the server", .sourceUnreachable, "the API server does not answer\(said)",
                "Is 'kubeconfig' right, and the server up?"
            ),
            (
                "completed pod", .sourceUnreachable, "the pod is done\(said)", "Name a pod that runs."
            ),
            (
                "executable file not found", .programMissing, "the container has no 'sh'",
                "Salvor needs a POSIX shell beside the source; use an image that has one."
            ),
            (
                "no such file or directory", .programMissing, "the container has no 'sh'\(said)",
                "Salvor needs a POSIX shell beside the source; use an image that has one."
            ),
            (
                "container not found", .sourceUnreachable, "the container is not running",
                "Look with 'kubectl get pods'."
            ),
        ]
        return known(exit, table) ?? unknown(exit, hint: "Look with 'kubectl get pods' and 'kubectl describe pod'.")
    }
}

/// What is needed of a pod as the API server prints it.
struct PodStatus: Decodable, Sendable {
    struct Metadata: Decodable, Sendable {
        var name: String
        var annotations: [String: String]?
        var deletionTimestamp: String?
    }
    struct Container: Decodable, Sendable {
        var name: String
    }
    struct Spec: Decodable, Sendable {
        var containers: [Container]
    }
    struct Status: Decodable, Sendable {
        var phase: String?
        var reason: String?
    }
    var metadata: Metadata
    var spec: Spec
    var status: Status?

    private struct List: Decodable {
        var items: [PodStatus]?
    }

    /// A pod alone, or a list of them.
    static func read(_ bytes: [UInt8]) throws -> [PodStatus] {
        let decoder = JSONDecoder()
        let data = Data(bytes)
        if let items = try decoder.decode(List.self, from: data).items { return items }
        return [try decoder.decode(PodStatus.self, from: data)]
    }

    var isRunning: Bool { status?.phase == "Running" && metadata.deletionTimestamp == nil }

    /// For people.
    var state: String {
        metadata.deletionTimestamp != nil ? "terminating" : (status?.reason ?? status?.phase ?? "of no known state")
    }
}
