// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// What of an object is worth keeping: what somebody wanted, without what the cluster added for itself.
enum ObjectCleaning {
    /// Why an object is not stored; nil: it is.
    static func reasonToSkip(_ object: JSONValue) -> String? {
        let metadata = object["metadata"]
        if metadata?["deletionTimestamp"]?.string != nil { return "being deleted" }
        let owners = metadata?["ownerReferences"]?.array ?? []
        if owners.contains(where: { $0["controller"]?.bool == true }) { return "made by a controller" }
        let (kind, name) = (object["kind"]?.string ?? "", metadata?["name"]?.string ?? "")
        switch kind {
        case "Secret":
            // Bound to a service account's uid, which no restore brings back.
            let type = object["type"]?.string ?? ""
            if type == "kubernetes.io/service-account-token" { return "token of a service account" }
            if type == "bootstrap.kubernetes.io/token" { return "bootstrap token" }
        case "ConfigMap":
            if name == "kube-root-ca.crt" || name == "openshift-service-ca.crt" { return "made by the cluster" }
        case "ServiceAccount":
            return nil
        case "Lease", "Endpoints", "EndpointSlice", "Event", "ControllerRevision": return "made by the cluster"
        case "Service":
            if name == "kubernetes", metadata?["namespace"]?.string == "default" { return "made by the cluster" }
        default: return nil
        }
        return nil
    }

    private static let serverMetadata = [
        "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        "selfLink", "managedFields", "ownerReferences", "finalizers", "clusterName",
    ]
    /// The first one holds a whole object, a Secret's values in clear.
    private static let serverAnnotations = [
        "kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation", "volume.kubernetes.io/selected-node",
        "volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner",
        // The status of an autoscaler, where version 1 has no place for it.
        "autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics",
    ]

    /// The object as it is stored and compared.
    static func clean(_ object: JSONValue) -> JSONValue {
        guard case .object(var fields) = object else { return object }
        let kind = object["kind"]?.string ?? ""
        fields["status"] = nil
        fields["metadata"] = metadata(fields["metadata"])
        fields["spec"] = fields["spec"].map(withoutEmptyTimes)
        switch kind {
        case "Service": fields["spec"] = fields["spec"].map(service)
        case "PersistentVolumeClaim": fields["spec"] = fields["spec"]?.without(["volumeName"])
        case "PersistentVolume":
            fields["spec"] = fields["spec"]?.changing("claimRef") { $0.without(["uid", "resourceVersion"]) }
        case "Pod": fields["spec"] = fields["spec"]?.without(["nodeName"])
        case "Job":
            fields["spec"] = fields["spec"].map(job)
            // A server before 1.21 gives a Job without labels those of its pods, the one with its own id among them.
            fields["metadata"] = fields["metadata"]?.changing("labels") { $0.without(jobLabels) }
        case "StatefulSet":
            fields["spec"] = fields["spec"]?.changing("volumeClaimTemplates") { claims in
                .array((claims.array ?? []).map { $0.without(["status"]) })
            }
        case "ServiceAccount": fields["secrets"] = nil
        case "Namespace": fields["spec"] = nil
        default: break
        }
        return .object(fields)
    }

    private static func metadata(_ value: JSONValue?) -> JSONValue? {
        guard case .object(var fields) = value?.without(serverMetadata) else { return value }
        if case .object(let annotations) = fields["annotations"] {
            let kept = annotations.filter { name, _ in
                !serverAnnotations.contains(name) && !name.hasPrefix("pv.kubernetes.io/")
            }
            fields["annotations"] = kept.isEmpty ? nil : .object(kept)
        }
        return .object(fields)
    }

    /// Templates within objects have metadata of their own, with a time of creation that is never set.
    private static func withoutEmptyTimes(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(
                members.filter { $0 != "creationTimestamp" || $1 != .null }.mapValues(withoutEmptyTimes))
        case .array(let elements): .array(elements.map(withoutEmptyTimes))
        default: value
        }
    }

    private static func service(_ spec: JSONValue) -> JSONValue {
        // `None` is a wish (a headless service), an address is what the cluster chose.
        guard spec["clusterIP"]?.string != "None" else { return spec.without(["healthCheckNodePort"]) }
        return spec.without(["clusterIP", "clusterIPs", "healthCheckNodePort"])
    }

    private static let jobLabels = ["controller-uid", "batch.kubernetes.io/controller-uid"]

    private static func job(_ spec: JSONValue) -> JSONValue {
        guard spec["manualSelector"]?.bool != true else { return spec }
        return spec.without(["selector"]).changing("template") { template in
            template.changing("metadata") { metadata in
                metadata.without(["creationTimestamp"]).changing("labels") { $0.without(jobLabels) }
            }
        }
    }

    /// SHA-256 of the object's canonical JSON.
    static func digest(_ object: JSONValue) throws -> SHA256Digest {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return SHA256Digest.of(try encoder.encode(object))
    }

    /// The object in another namespace, with those of its references that name the old one.
    static func moved(_ object: JSONValue, to namespace: String) -> JSONValue {
        let old = object["metadata"]?["namespace"]?.string
        guard let old else {
            guard object["kind"]?.string == "Namespace" else { return object }
            return object.changing("metadata") { metadata in
                metadata.setting("name", .string(namespace)).changing("labels") {
                    $0.without(["kubernetes.io/metadata.name"])
                }
            }
        }
        var moved = object.changing("metadata") { $0.setting("namespace", .string(namespace)) }
        if object["kind"]?.string == "Service" {
            // A port of the nodes belongs to one service of the cluster, and the original may still have it.
            moved = moved.changing("spec") { spec in
                spec.changing("ports") { ports in
                    .array((ports.array ?? []).map { $0.without(["nodePort"]) })
                }
            }
        }
        guard case .array(let subjects)? = moved["subjects"] else { return moved }
        return moved.setting(
            "subjects",
            .array(subjects.map { $0["namespace"]?.string == old ? $0.setting("namespace", .string(namespace)) : $0 }))
    }
}

extension JSONValue {
    /// An object without some of its members; anything else as it is.
    func without(_ keys: [String]) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { !keys.contains($0.key) })
    }

    /// An object with a member changed, if it has it.
    func changing(_ key: String, _ body: (JSONValue) -> JSONValue) -> JSONValue {
        guard case .object(var members) = self, let value = members[key] else { return self }
        members[key] = body(value)
        return .object(members)
    }

    /// An object with a member set.
    func setting(_ key: String, _ value: JSONValue) -> JSONValue {
        guard case .object(var members) = self else { return self }
        members[key] = value
        return .object(members)
    }
}
