// SPDX-License-Identifier: Apache-2.0
import Domain

/// Which object of a cluster: its resource, namespace and name.
struct ObjectKey: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// Empty for objects without a namespace.
    var namespace: String
    /// Lower case, as `kubectl get` takes it: `configmap`, `deployment.apps`.
    var kind: String
    var name: String

    init(namespace: String, kind: String, name: String) {
        self.namespace = namespace
        self.kind = kind
        self.name = name
    }

    /// The key of an object as the API server gives it; nil when it is none.
    init?(_ object: JSONValue) {
        guard let kind = object["kind"]?.string, let version = object["apiVersion"]?.string,
            let name = object["metadata"]?["name"]?.string, !kind.isEmpty, !name.isEmpty
        else { return nil }
        let group = version.contains("/") ? "." + version.prefix { $0 != "/" } : ""
        self.init(
            namespace: object["metadata"]?["namespace"]?.string ?? "", kind: kind.lowercased() + group, name: name)
    }

    /// `shop/configmap/app`, `namespace/shop`.
    var description: String { (namespace.isEmpty ? "" : "\(namespace)/") + "\(kind)/\(name)" }

    /// In the order in which they are applied: what others need first (sources: kubectl's own order in `helm` and
    /// `velero` is the same in essence).
    static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.rank, left.namespace, left.kind, left.name) < (right.rank, right.namespace, right.kind, right.name)
    }

    private static let order = [
        "namespace", "customresourcedefinition.apiextensions.k8s.io", "storageclass.storage.k8s.io",
        "priorityclass.scheduling.k8s.io", "limitrange", "resourcequota", "persistentvolume", "persistentvolumeclaim",
        "serviceaccount", "secret", "configmap", "clusterrole.rbac.authorization.k8s.io",
        "clusterrolebinding.rbac.authorization.k8s.io", "role.rbac.authorization.k8s.io",
        "rolebinding.rbac.authorization.k8s.io", "service",
    ]
    private static let last = ["horizontalpodautoscaler.autoscaling", "ingress.networking.k8s.io"]

    private var rank: Int {
        Self.order.firstIndex(of: kind) ?? Self.order.count + 1 + (Self.last.firstIndex(of: kind) ?? -1)
    }

    var isSecret: Bool { kind == "secret" }

    /// Whether a pattern of `kind/name` or `namespace/kind/name` names it. A kind may leave out its group.
    func matches(_ pattern: String) -> Bool {
        let short = String(kind.prefix { $0 != "." })
        let texts = [
            "\(kind)/\(name)", "\(short)/\(name)", "\(namespace)/\(kind)/\(name)", "\(namespace)/\(short)/\(name)",
        ]
        let parts = pattern.split(separator: "/", omittingEmptySubsequences: false).map { NamePattern(String($0)) }
        // Part by part, so that no star reaches over a slash.
        return texts.map { $0.split(separator: "/", omittingEmptySubsequences: false) }.contains { text in
            text.count == parts.count && zip(parts, text).allSatisfy { $0.matches(String($1)) }
        }
    }
}
