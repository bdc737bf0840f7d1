// SPDX-License-Identifier: Apache-2.0
import Domain

/// A Kubernetes source's settings, as read from the plan.
struct KubernetesSettings: Sendable {
    /// What happens to fields that another manager owns (`kubectl apply --server-side --force-conflicts`).
    enum Conflicts: String, Sendable, CaseIterable {
        /// The restore takes them over; the plan names who loses them.
        case take
        /// The restore is refused.
        case refuse
    }

    /// Path of the client's configuration; nil: its own default, or the pod's service account.
    var kubeconfig: String?
    var context: String?
    var namespaces: [String]
    /// Resources as `kubectl get` takes them, such as `deployments.apps`.
    var kinds = Self.standardKinds
    /// Resources that have no namespace, such as `storageclasses.storage.k8s.io`.
    var clusterKinds: [String] = []
    /// A label selector; nil: all objects.
    var selector: String?
    /// Patterns of `kind/name` or `namespace/kind/name`.
    var exclude: [String] = []
    /// Seconds for one answer of the API server.
    var timeoutSeconds = 60
    var conflicts = Conflicts.take
    /// The client; nil: `kubectl` in PATH.
    var program: String?

    /// What makes up an application; what its controllers make of it comes back by itself.
    static let standardKinds = [
        "limitranges", "resourcequotas", "serviceaccounts", "secrets", "configmaps", "persistentvolumeclaims",
        "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "services", "deployments.apps",
        "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch", "horizontalpodautoscalers.autoscaling",
        "poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io", "ingresses.networking.k8s.io",
    ]

    private static let keys = [
        "kubeconfig", "context", "namespaces", "kinds", "cluster-kinds", "selector", "exclude", "timeout", "program",
        "restore",
    ]

    /// - Throws: `Failure(.configuration)` with file and line.
    init(_ node: ConfigNode, source: String) throws {
        let reader = try ConfigReader(node, path: source, allowed: Self.keys)
        kubeconfig = try reader.string("kubeconfig")
        if let kubeconfig, !kubeconfig.hasPrefix("/") {
            throw reader.failure("kubeconfig", "must be an absolute path, not '\(kubeconfig)'")
        }
        context = try reader.string("context")
        namespaces = try reader.strings("namespaces") ?? []
        guard !namespaces.isEmpty else {
            throw reader.failure(
                "namespaces", "must name at least one namespace", hint: "Write namespaces: [shop, shop-jobs].")
        }
        for name in namespaces where !Self.isName(name) {
            throw reader.failure("namespaces", "'\(name)' is not the name of a namespace")
        }
        kinds = try reader.strings("kinds") ?? kinds
        clusterKinds = try reader.strings("cluster-kinds") ?? []
        for (key, list) in [("kinds", kinds), ("cluster-kinds", clusterKinds)] {
            for kind in list where !Self.isResource(kind) {
                throw reader.failure(
                    key, "'\(kind)' is not a resource",
                    hint: "Name them as 'kubectl api-resources -o name' does, such as configmaps or deployments.apps.")
            }
        }
        selector = try reader.string("selector")
        exclude = try reader.strings("exclude") ?? []
        timeoutSeconds = try reader.integer("timeout", in: 1...3600) ?? timeoutSeconds
        program = try reader.string("program")
        if let restore = try reader.mapping("restore", allowed: ["conflicts"]),
            let choice = try restore.choice("conflicts", of: Conflicts.allCases.map(\.rawValue))
        {
            conflicts = Conflicts(rawValue: choice) ?? conflicts
        }
    }

    /// Whether an object is left out.
    func excludes(_ key: ObjectKey) -> Bool { exclude.contains { key.matches($0) } }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 63 && text.first != "-"
            && text.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 }
    }

    private static func isResource(_ text: String) -> Bool {
        !text.isEmpty && text.first?.isLetter == true
            && text.utf8.allSatisfy {
                ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 || $0 == 46
            }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "required": ["namespaces"],
        "properties": [
            "kubeconfig": ["type": "string", "pattern": "^/", "description": "default: kubectl's own, or the pod's"],
            "context": ["type": "string"],
            "namespaces": [
                "description": "one or more",
                "anyOf": [["type": "string"], ["type": "array", "items": ["type": "string"], "minItems": 1]],
            ],
            "kinds": [
                "type": "array", "items": ["type": "string"], "minItems": 1,
                "description": "resources as 'kubectl api-resources -o name' prints them",
                "default": .array(standardKinds.map { .string($0) }),
            ],
            "cluster-kinds": [
                "type": "array", "items": ["type": "string"], "description": "resources without a namespace",
            ],
            "selector": ["type": "string", "description": "a label selector, such as app=shop"],
            "exclude": [
                "type": "array", "items": ["type": "string"],
                "description": "kind/name or namespace/kind/name; * and ? stand for any text and any character",
            ],
            "timeout": ["type": "integer", "minimum": 1, "maximum": 3600, "default": 60],
            "program": ["type": "string", "description": "the kubectl to use"],
            "restore": [
                "type": "object",
                "additionalProperties": false,
                "properties": ["conflicts": ["enum": ["take", "refuse"], "default": "take"]],
            ],
        ],
    ]
}
