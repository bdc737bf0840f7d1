// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Kubernetes
@testable import PlanFiles

/// A cluster with an application in it, and an adapter for it.
struct ClusterSite: Sendable {
    let double: KubectlDouble
    let folder: TemporaryDirectory
    private let namespaces: String

    init(
        namespaces: String = "[shop, jobs]", more: [JSONValue] = [],
        cluster: String = "c0ffee00-0000-4000-8000-000000000001"
    ) throws {
        self.namespaces = namespaces
        folder = try TemporaryDirectory("cluster")
        double = try KubectlDouble(Self.application + more, cluster: cluster)
    }

    var adapter: KubernetesAdapter { adapter(more: "") }

    func adapter(more: String) -> KubernetesAdapter {
        let own = more.contains("namespaces:") ? more : "namespaces: \(namespaces)\n\(more)"
        let text = """
            \(own)
            program: \(double.program)
            \(more.contains("kinds:") ? "" : "kinds: [\(Self.kinds)]")
            \(more.contains("exclude:") ? "" : "exclude: ['secret/sh.helm.release.v1.old*']")
            """
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        do {
            let source = SourceSettings(
                name: "cluster", adapter: "kubernetes", transport: .local,
                settings: try YAMLDocument.parse(text, file: "plan.yaml"), mark: mark)
            return KubernetesAdapter(
                settings: try Kubernetes.KubernetesSettings(source.settings, source: "cluster"),
                environment: AdapterEnvironment(
                    source: source, transport: LocalTransport(), secrets: NoSecrets(), clock: SystemClock()))
        } catch {
            preconditionFailure("the test's own settings are wrong: \(error)")
        }
    }

    static func settings(_ yaml: String) throws -> Kubernetes.KubernetesSettings {
        try Kubernetes.KubernetesSettings(try YAMLDocument.parse(yaml, file: "plan.yaml"), source: "cluster")
    }

    private static let kinds =
        "configmaps, secrets, serviceaccounts, services, persistentvolumeclaims, deployments.apps, replicasets.apps, "
        + "rolebindings.rbac.authorization.k8s.io, jobs.batch"

    func captured() async throws -> (report: CaptureReport, sink: MemoryCapture) {
        let sink = MemoryCapture()
        return (try await adapter.capture(into: sink), sink)
    }

    func restore(
        _ bundle: (report: CaptureReport, sink: MemoryCapture), include: [String] = [], rename: String? = nil
    ) throws -> SourceRestore {
        let path = folder("keep-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return SourceRestore(
            restoreID: "k3f9qz",
            bundle: BundleID(plan: "nightly", started: Timestamp(seconds: 1_700_000_000), suffix: "k3f9qz"),
            contents: Contents.Source(
                name: "cluster", engine: bundle.report.engine, facts: bundle.report.facts,
                restoreData: bundle.report.restoreData, notices: bundle.report.notices, position: nil),
            streams: bundle.sink.streams, include: include, rename: rename, scratchDirectory: path)
    }

    func restored(_ restore: SourceRestore, _ journal: MemoryJournal) async throws {
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        #expect(!facts.isEmpty && facts.allSatisfy(\.isEqual), "\(facts)")
        try await adapter.promote(restore, journal: journal)
    }

    /// What the server has, without what it adds by itself.
    func wanted() throws -> [String: JSONValue] {
        try double.objects().mapValues { ObjectCleaning.clean($0.without(["_owners"])) }
    }

    // MARK: - The application

    private struct NoSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String { "" }
    }

    static func deployment(replicas: Int64) -> JSONValue {
        object("apps/v1", "Deployment", "web", ["spec": ["replicas": .integer(replicas), "paused": false]])
    }

    private static func object(
        _ version: String, _ kind: String, _ name: String, _ fields: [String: JSONValue], namespace: String = "shop",
        metadata: [String: JSONValue] = [:]
    ) -> JSONValue {
        var own: [String: JSONValue] = ["name": .string(name)]
        if !namespace.isEmpty { own["namespace"] = .string(namespace) }
        var object = fields
        object["apiVersion"] = .string(version)
        object["kind"] = .string(kind)
        object["metadata"] = .object(own.merging(metadata) { $1 })
        return .object(object)
    }

    private static let application: [JSONValue] = [
        object("v1", "Namespace", "shop", [:], namespace: "", metadata: ["labels": ["team": "a"]]),
        object("v1", "Namespace", "jobs", [:], namespace: ""),
        object(
            "v1", "ConfigMap", "app", ["data": .object(Texts.difficult.mapValues { .string($0) })],
            metadata: [
                "annotations": [
                    "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"secret-password\":1}}",
                    "note": "kept",
                ], "finalizers": ["example.com/hold"],
            ]),
        object("v1", "ConfigMap", "other", ["data": ["a": "1"]]),
        object("v1", "ConfigMap", "kube-root-ca.crt", ["data": ["ca.crt": "x"]]),
        object("v1", "ConfigMap", "settings", ["data": ["b": "2"]], namespace: "jobs"),
        object("v1", "Secret", "db", ["type": "Opaque", "data": ["password": "c2VjcmV0LXBhc3N3b3Jk"]]),
        object("v1", "Secret", "sa-token", ["type": "kubernetes.io/service-account-token", "data": ["token": "eA=="]]),
        object(
            "v1", "Secret", "sh.helm.release.v1.shop.v3",
            ["type": "helm.sh/release.v1", "data": ["release": "SDRzSUFBQUFB"]],
            metadata: ["labels": ["owner": "helm", "status": "deployed"]]),
        object(
            "v1", "Secret", "sh.helm.release.v1.old.v1", ["type": "helm.sh/release.v1", "data": ["release": "eA=="]]),
        object("v1", "Service", "web", ["spec": ["ports": [["port": 80]]]]),
        object("v1", "Service", "db", ["spec": ["clusterIP": "None"]]),
        object(
            "v1", "Service", "outside", ["spec": ["type": "NodePort", "ports": [["port": 80, "nodePort": 30080]]]]),
        object("v1", "ServiceAccount", "web", ["secrets": [["name": "sa-token"]]]),
        object(
            "v1", "PersistentVolumeClaim", "data", ["spec": ["volumeName": "pv-1", "storageClassName": "fast"]],
            metadata: ["annotations": ["pv.kubernetes.io/bind-completed": "yes"]]),
        deployment(replicas: 2),
        object(
            "apps/v1", "ReplicaSet", "made-by-controller", ["spec": ["replicas": 2]],
            metadata: ["ownerReferences": [["kind": "Deployment", "name": "web", "uid": "u", "controller": true]]]),
        object(
            "rbac.authorization.k8s.io/v1", "RoleBinding", "read",
            [
                "subjects": [["kind": "ServiceAccount", "name": "web", "namespace": "shop"]],
                "roleRef": ["kind": "Role", "name": "read"],
            ]),
        object(
            "batch/v1", "Job", "migrate",
            [
                "spec": [
                    "selector": ["matchLabels": ["controller-uid": "u-1"]],
                    "template": ["metadata": ["labels": ["controller-uid": "u-1", "app": "shop"]]],
                ]
            ], namespace: "jobs"),
    ]
}

/// Values that are easily changed on their way through YAML.
enum Texts {
    static let difficult = [
        "plain": "info", "yes": "yes", "number": "123", "octal": "010", "time": "12:30:45", "date": "2026-11-21",
        "version": "1.10", "empty": "", "null": "null", "tilde": "~", "colon": "a: b", "comment": "a # b",
        "quote": "it's \"quoted\" \\ here", "leading": "  two spaces", "trailing": "space ",
        "bytes": "\u{1}\u{1f}",
        "unicode": "grüße, 世界 🛟\u{a0}\u{2028}", "block": "line 1\n  line 2\n\nline 4\n", "unended": "a\nb",
        "ended": "a\nb\n\n\n", "indented": "   first\nsecond\n", "tabs": "\ta\n\tb\n", "crlf": "a\r\nb\r\n",
        "newlines": "\n\n", "dash": "- a\n- b\n", "document": "---\nx: 1\n", "star": "*.log", "and": "&x", "at": "@x",
        "percent": "%d", "bar": "|", "tag": "!x", "long": String(repeating: "word ", count: 200),
        "base64": String(repeating: "QUJD", count: 100) + "==",
    ]

    /// Values that a server does not take by server-side apply.
    static let refused = ["delete": "\u{7f}", "next-line": "a\u{85}b", "mark": "\u{feff}a"]

    static func immutable(value: JSONValue) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Secret", "immutable": true, "type": "Opaque",
            "metadata": ["name": "fixed", "namespace": "shop"], "data": ["k": value],
        ]
    }
}
