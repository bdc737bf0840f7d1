// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization

/// The objects that one restore is about, beside what the cluster has of them.
struct ObjectRestore: Sendable {
    struct Item: Sendable {
        var key: ObjectKey
        /// As in the bundle.
        var wanted: JSONValue
        /// As the server has it; nil: it is not there.
        var live: JSONValue?
        /// What the server would make of it; nil: it cannot be tried yet.
        var result: JSONValue?
        /// Whether it has to be deleted first: nothing else changes an immutable ConfigMap or Secret.
        var isReplaced: Bool {
            guard let live, live["immutable"]?.bool == true else { return false }
            return ["data", "binaryData", "immutable"].contains { live[$0] != wanted[$0] }
        }
    }

    let kubectl: Kubectl
    var items: [Item]
    /// Namespaces that the restore makes.
    var newNamespaces: Set<String> = []
    /// What other managers lose.
    var conflicts: [String] = []

    /// Reads the bundle's objects and looks for them on the server.
    init(_ restore: SourceRestore, _ kubectl: Kubectl) async throws {
        self.kubectl = kubectl
        let chosen = try await Self.chosen(restore)
        let namespaces = Set(chosen.map(\.key.namespace)).subtracting([""])
        for name in namespaces.sorted() where try await Self.isMissing(name, kubectl) { newNamespaces.insert(name) }
        let live = try await Self.live(chosen.map(\.key), kubectl)
        items = chosen.map { Item(key: $0.key, wanted: $0.object, live: live[$0.key]) }
    }

    /// The chosen objects, in the order in which they are applied.
    private static func chosen(_ restore: SourceRestore) async throws -> [(key: ObjectKey, object: JSONValue)] {
        let text = BundleText()
        try await restore.stream(KubernetesAdapter.stream).read(nil) { text.add($0) }
        var objects = try ObjectText.objects(text.string)
        if let namespace = restore.rename {
            let old = Set(objects.compactMap { $0["metadata"]?["namespace"]?.string })
            guard old.count == 1 else {
                throw Failure(
                    .usage, "the bundle has objects of \(old.count) namespaces: they cannot be put into one",
                    hint: "Leave out --rename, or choose one namespace with --include 'NAMESPACE/*/*'.")
            }
            objects = objects.filter {
                ObjectKey($0)?.kind != "namespace" || old.contains($0["metadata"]?["name"]?.string ?? "")
            }
            .map { ObjectCleaning.moved($0, to: namespace) }
        }
        let all = objects.compactMap { object in ObjectKey(object).map { (key: $0, object: object) } }
        guard !restore.include.isEmpty else { return all }
        let chosen = all.filter { entry in restore.include.contains { entry.key.matches($0) } }
        for pattern in restore.include where !all.contains(where: { $0.key.matches(pattern) }) {
            throw Failure(
                .nothingSelected, "the bundle has no object '\(pattern)'",
                hint: "Write kind/name or namespace/kind/name, such as 'configmap/app' or 'shop/secret/*'.")
        }
        return chosen
    }

    private static func isMissing(_ namespace: String, _ kubectl: Kubectl) async throws -> Bool {
        do { return try await kubectl.object("namespace", namespace) == nil } catch let failure as Failure
            where failure.code == .sourceDenied
        {
            // Then what is in it will tell.
            return false
        }
    }

    /// What the server has of `keys`.
    static func live(_ keys: [ObjectKey], _ kubectl: Kubectl) async throws -> [ObjectKey: JSONValue] {
        struct Place: Hashable { var kind: String, namespace: String }
        var live: [ObjectKey: JSONValue] = [:]
        for place in Set(keys.map { Place(kind: $0.kind, namespace: $0.namespace) }) {
            let names = keys.filter { $0.kind == place.kind && $0.namespace == place.namespace }.map(\.name)
            do {
                // Who may look into a namespace need not be allowed to list what the whole cluster has.
                let objects =
                    place.namespace.isEmpty
                    ? try await kubectl.objects(place.kind, names)
                    : try await kubectl.list(place.kind, namespace: place.namespace)
                for object in objects {
                    if let key = ObjectKey(object) { live[key] = object }
                }
            } catch let failure as Failure where failure.summary.contains("doesn't have a resource type") {
                // Its definition may be among the objects.
                continue
            }
        }
        let wanted = Set(keys)
        return live.filter { wanted.contains($0.key) }
    }

    /// Asks the server what it would make of everything that can be tried.
    ///
    /// - Throws: what the server says against it; `.conflict` only when the plan refuses to take fields over.
    mutating func tryOut() async throws {
        if let item = items.first(where: { !ObjectText.isAppliable($0.wanted) }) {
            throw Failure(
                .restoreBlocked, "\(item.key) has text with characters that no server takes by server-side apply",
                hint: "Choose the others with --include, and put this one back by hand with 'kubectl create'.")
        }
        let indices = items.indices.filter { index in
            let item = items[index]
            return !item.isReplaced && !newNamespaces.contains(item.key.namespace)
        }
        let objects = indices.map { items[$0].wanted }
        let results: [JSONValue]
        do {
            results = try await kubectl.apply(objects, force: false, isTrial: true)
        } catch let failure as Failure where failure.code == .conflict && kubectl.settings.conflicts == .take {
            conflicts = [failure.summary]
            results = try await kubectl.apply(objects, force: true, isTrial: true)
        }
        for (index, result) in zip(indices, results) {
            guard ObjectKey(result) == items[index].key else {
                throw Failure(.restoreFailed, "kubectl answers with other objects than it was given")
            }
            items[index].result = ObjectCleaning.clean(result)
        }
    }

    /// Applies everything: first what makes room for the rest.
    func apply() async throws {
        for item in items where item.isReplaced { try await kubectl.delete(item.key) }
        let first = ["namespace", "customresourcedefinition.apiextensions.k8s.io"]
        for part in [items.filter { first.contains($0.key.kind) }, items.filter { !first.contains($0.key.kind) }] {
            _ = try await kubectl.apply(
                part.map(\.wanted), force: kubectl.settings.conflicts == .take, isTrial: false)
        }
    }
}

/// Collects a stream's bytes.
private final class BundleText: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    var string: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func add(_ chunk: UnsafeRawBufferPointer) { bytes.withLock { $0.append(contentsOf: chunk) } }
}
