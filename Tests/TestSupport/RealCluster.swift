// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Transports

/// The cluster that `scripts/test-kubernetes` has started, with a namespace of its own for each value. Nothing is removed:
/// the cluster goes as a whole.
///
/// Suites that need it are called `RealClusterTests` and enabled if `isHere`.
public struct RealCluster: Sendable {
    /// A running pod of a test.
    public struct Pod: Sendable {
        public let name: String
        fileprivate let cluster: RealCluster

        /// Runs a shell command in a container of it by the engine's own client, and gives what it prints.
        @discardableResult
        public func shell(_ command: String, container: String = "main") async throws -> String {
            try await beside(["sh", "-c", command], container: container)
        }

        /// Runs a program in a container of it by the engine's own client, and gives what it prints.
        @discardableResult
        public func beside(_ command: [String], container: String = "main") async throws -> String {
            let labels = [
                "io.kubernetes.pod.namespace": cluster.namespace, "io.kubernetes.pod.name": name,
                "io.kubernetes.container.name": container,
            ]
            let filters = labels.flatMap { ["--filter", "label=\($0.key)=\($0.value)"] }
            let id = try await RealCluster.run(["docker", "ps", "--quiet"] + filters)
            return try await RealCluster.run(["docker", "exec", id] + command)
        }
    }

    /// Whether there is one.
    public static var isHere: Bool { variable("SALVOR_TEST_KUBECONFIG") != nil }

    /// Of somebody who may do everything.
    public let kubeconfig: String
    /// Of somebody who may do nothing.
    public let viewerKubeconfig: String
    public let namespace: String

    /// Makes the namespace.
    public init() async throws {
        guard let admin = Self.variable("SALVOR_TEST_KUBECONFIG"),
            let viewer = Self.variable("SALVOR_TEST_KUBECONFIG_VIEWER")
        else {
            throw Failure(.programMissing, "there is no cluster: run scripts/test-kubernetes")
        }
        (kubeconfig, viewerKubeconfig) = (admin, viewer)
        namespace = "test-" + UUID().uuidString.prefix(8).lowercased()
        try await kubectl("create", "namespace", namespace)
        try await waitForAccount(namespace)
    }

    /// Pods are refused until a controller has made the namespace's service account.
    private func waitForAccount(_ namespace: String) async throws {
        for _ in 0..<300 {
            let name = try await kubectl(
                "get", "serviceaccounts", "default", "--namespace", namespace, "--ignore-not-found", "--output", "name")
            if !name.isEmpty { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(.internalError, "namespace '\(namespace)' got no service account: do the controllers run?")
    }

    /// Runs kubectl as the one who may do everything, in the namespace, and gives what it prints.
    @discardableResult
    public func kubectl(_ arguments: String..., input: String = "") async throws -> String {
        try await Self.run(
            ["kubectl", "--kubeconfig", kubeconfig]
                + (arguments.contains("--namespace") ? [] : ["--namespace", namespace])
                + arguments, input: input)
    }

    /// An object as the API server has it.
    public func object(_ kind: String, _ name: String) async throws -> JSONValue {
        let text = try await kubectl("get", kind, name, "--output", "json")
        return try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    /// Starts a pod and waits until it runs, unless it is to end.
    ///
    /// - Parameters:
    ///   - containers: their names; each does nothing.
    ///   - metadata: more members of the pod's metadata, as YAML on one line.
    ///   - command: of the containers, instead of doing nothing until they are told to stop.
    ///   - more: further members of the pod's `spec`, and of every container, as YAML on one line.
    @discardableResult
    public func pod(
        _ name: String, _ image: ContainerImage = .base, containers: [String] = ["main"], metadata: String = "",
        command: [String]? = nil, more: (spec: String, container: String) = ("", ""), ends: Bool = false
    ) async throws -> Pod {
        try await Images.shared.add(image)
        let words = command ?? ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
        let list = try containers.map { container in
            let text = String(decoding: try JSONEncoder().encode(words), as: UTF8.self)
            return "{name: \(container), image: \"\(Images.name(image))\", imagePullPolicy: Never, command: \(text)"
                + (more.container.isEmpty ? "}" : ", \(more.container)}")
        }.joined(separator: ", ")
        // The network is the node's: the cluster has none of its own.
        let manifest = """
            apiVersion: v1
            kind: Pod
            metadata: {name: \(name)\(metadata.isEmpty ? "" : ", \(metadata)")}
            spec: {hostNetwork: true, automountServiceAccountToken: false, terminationGracePeriodSeconds: 1,
              restartPolicy: Never, containers: [\(list)]\(more.spec.isEmpty ? "" : ", \(more.spec)")}
            """
        try await kubectl("create", "--filename", "-", input: manifest)
        // `kubectl wait` of 1.20 knows conditions only, and a pod that is done has none of its own.
        for _ in 0..<600 {
            let phase = try await kubectl("get", "pod", name, "--output", "jsonpath={.status.phase}")
            if ends ? ["Succeeded", "Failed"].contains(phase) : phase == "Running" {
                return Pod(name: name, cluster: self)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(.internalError, "pod '\(name)' does not start: \(try await kubectl("describe", "pod", name))")
    }

    /// Gives the node an image, and its name.
    public func image(_ image: ContainerImage) async throws -> String {
        try await Images.shared.add(image)
        return Images.name(image)
    }

    /// The transport to a pod.
    public func transport(_ pod: Domain.KubernetesSettings.Pod, container: String? = nil) -> any Transport {
        transport(settings(pod, container: container))
    }

    /// The transport that the settings mean.
    public func transport(_ settings: Domain.KubernetesSettings) -> any Transport {
        TransportFactory.make(.kubernetes(settings))
    }

    /// Settings for a pod in the namespace, as the one who may do everything.
    public func settings(
        _ pod: Domain.KubernetesSettings.Pod, container: String? = nil
    ) -> Domain.KubernetesSettings {
        Domain.KubernetesSettings(namespace: namespace, pod: pod, container: container, kubeconfig: kubeconfig)
    }

    /// Images of this host's programs, given to the node's engine once.
    private actor Images {
        static let shared = Images()
        private var added: [String: Task<Void, any Error>] = [:]

        static func name(_ image: ContainerImage) -> String { "salvor-test/\(image.rawValue):1" }

        func add(_ image: ContainerImage) async throws {
            let name = Self.name(image)
            let task =
                added[name]
                ?? Task {
                    // By a test process before this one.
                    if try await !RealCluster.run(["docker", "images", "--quiet", name]).isEmpty { return }
                    let folder = try TemporaryDirectory("image")
                    try image.write(to: folder("image.tar"))
                    _ = try await RealCluster.run(["docker", "import", folder("image.tar"), name])
                }
            added[name] = task
            try await task.value
        }
    }

    private static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    fileprivate static func run(_ words: [String], input: String = "") async throws -> String {
        let bytes = try await LocalTransport().output(
            of: Program(words[0], Array(words.dropFirst())), input: Array(input.utf8))
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
