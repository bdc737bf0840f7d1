// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Transports

@testable import Kubernetes
@testable import PlanFiles

/// An application in a namespace of a real cluster, with one object at least of every kind that is captured by default.
struct RealSite: Sendable {
    let cluster: RealCluster
    let folder: TemporaryDirectory

    /// Makes the objects as people do: with `kubectl apply`, whose fields its own manager owns.
    static func make() async throws -> RealSite {
        let site = RealSite(cluster: try await RealCluster(), folder: try TemporaryDirectory("cluster"))
        try await site.cluster.pod("image")
        try await site.cluster.kubectl("delete", "pod", "image", "--wait=false")
        let texts: JSONValue = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "texts"],
            "data": .object(Texts.difficult.mapValues { .string($0) }),
        ]
        try await site.cluster.kubectl(
            "apply", "--filename", "-", input: String(decoding: try JSONEncoder().encode(texts), as: UTF8.self))
        try await site.cluster.kubectl(
            "apply", "--filename", "-",
            input: application.replacingOccurrences(of: "$NAMESPACE", with: site.cluster.namespace))
        for workload in ["deployment/web", "statefulset/db"] {
            try await site.cluster.kubectl("rollout", "status", workload, "--timeout=30s")
        }
        try await site.cluster.kubectl("wait", "--for=condition=Complete", "job/migrate", "--timeout=30s")
        return site
    }

    var adapter: KubernetesAdapter { get throws { try adapter(more: "") } }

    /// - Parameters:
    ///   - more: further settings, as YAML.
    ///   - kubeconfig: nil: of the one who may do everything.
    func adapter(more: String, kubeconfig: String? = nil) throws -> KubernetesAdapter {
        let text = """
            namespaces: [\(cluster.namespace)]
            kubeconfig: \(kubeconfig ?? cluster.kubeconfig)
            \(more)
            """
        let source = SourceSettings(
            name: "cluster", adapter: "kubernetes", transport: .local,
            settings: try YAMLDocument.parse(text, file: "plan.yaml"),
            mark: ConfigMark(file: "plan.yaml", line: 1, column: 1))
        return KubernetesAdapter(
            settings: try Kubernetes.KubernetesSettings(source.settings, source: "cluster"),
            environment: AdapterEnvironment(
                source: source, transport: LocalTransport(), secrets: LiteralSecretResolver(), clock: SystemClock()))
    }

    /// What the API server has of all kinds in a namespace, without what it added; by kind and name.
    func state(_ namespace: String? = nil) async throws -> [String: JSONValue] {
        let kinds = Kubernetes.KubernetesSettings.standardKinds.joined(separator: ",")
        let text = try await cluster.kubectl(
            "get", kinds, "--output", "json", "--namespace", namespace ?? cluster.namespace)
        let list = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        var state: [String: JSONValue] = [:]
        for object in list["items"]?.array ?? [] where ObjectCleaning.reasonToSkip(object) == nil {
            guard let key = ObjectKey(object) else { continue }
            state["\(key.kind)/\(key.name)"] = ObjectCleaning.clean(object)
        }
        return state
    }

    /// A restore of what was captured, kept by its own folder.
    func restore(
        _ report: CaptureReport, _ sink: MemoryCapture, include: [String] = [], rename: String? = nil
    ) throws -> SourceRestore {
        let path = folder("keep-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return SourceRestore(
            restoreID: "k3f9qz",
            bundle: BundleID(plan: "nightly", started: Timestamp(seconds: 1_700_000_000), suffix: "k3f9qz"),
            contents: Contents.Source(
                name: "cluster", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: nil),
            streams: sink.streams, include: include, rename: rename, scratchDirectory: path)
    }

    func captured() async throws -> (report: CaptureReport, sink: MemoryCapture) {
        let sink = MemoryCapture()
        return (try await adapter.capture(into: sink), sink)
    }

    static let password = "c2VjcmV0LXBhc3N3b3Jk"

    private static let template = """
        spec:
              hostNetwork: true
              automountServiceAccountToken: false
              terminationGracePeriodSeconds: 1
              containers:
                - name: main
                  image: salvor-test/base:1
                  imagePullPolicy: Never
                  command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
                  env: [{name: MODE, value: "on"}]
                  envFrom: [{configMapRef: {name: app}}, {secretRef: {name: db}}]
        """

    private static let job = """
        spec:
                  restartPolicy: Never
                  hostNetwork: true
                  automountServiceAccountToken: false
                  containers: [{name: main, image: "salvor-test/base:1", imagePullPolicy: Never, command: ["true"]}]
        """

    /// CronJobs and disruption budgets are `v1beta1` in Kubernetes 1.20.
    private static let application = """
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: app, labels: {app: shop}, annotations: {note: kept}}
        data: {LEVEL: info}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: bytes}
        binaryData: {logo: AAECAwQFBgcICQ==}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: db}
        data: {PASSWORD: \(password)}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: fixed}
        immutable: true
        data: {KEY: b25l}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: token, annotations: {kubernetes.io/service-account.name: web}}
        type: kubernetes.io/service-account-token
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata: {name: web}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: outside}
        spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
        ---
        apiVersion: v1
        kind: PersistentVolume
        metadata: {name: $NAMESPACE}
        spec:
          capacity: {storage: 1Gi}
          accessModes: [ReadWriteOnce]
          storageClassName: ""
          claimRef: {namespace: $NAMESPACE, name: data}
          hostPath: {path: /tmp}
        ---
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data}
        spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 1Gi}}}
        ---
        apiVersion: v1
        kind: LimitRange
        metadata: {name: limits}
        spec: {limits: [{type: PersistentVolumeClaim, max: {storage: 10Gi}}]}
        ---
        apiVersion: v1
        kind: ResourceQuota
        metadata: {name: quota}
        spec: {hard: {count/configmaps: "20"}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            \(template)
        ---
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db}
        spec:
          serviceName: db
          selector: {matchLabels: {app: db}}
          template:
            metadata: {labels: {app: db}}
            \(template)
        ---
        apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: agent}
        spec:
          selector: {matchLabels: {app: agent}}
          template:
            metadata: {labels: {app: agent}}
            \(template)
        ---
        apiVersion: batch/v1
        kind: Job
        metadata: {name: migrate}
        spec:
          template:
                \(job)
        ---
        apiVersion: batch/v1beta1
        kind: CronJob
        metadata: {name: nightly}
        spec:
          schedule: "0 3 * * *"
          concurrencyPolicy: Forbid
          jobTemplate:
            spec:
              template:
                \(job)
        ---
        apiVersion: autoscaling/v1
        kind: HorizontalPodAutoscaler
        metadata: {name: web}
        spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: nobody}}
        ---
        apiVersion: policy/v1beta1
        kind: PodDisruptionBudget
        metadata: {name: web}
        spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: closed}
        spec: {podSelector: {}, policyTypes: [Ingress]}
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: web}
        spec:
          rules:
            - host: shop.example.com
              http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: read}
        rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {name: read}
        subjects: [{kind: ServiceAccount, name: web, namespace: $NAMESPACE}]
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}
        """
}
