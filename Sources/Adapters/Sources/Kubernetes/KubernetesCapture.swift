// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

extension KubernetesAdapter {
    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let server = try await serverVersion()
        var objects: [ObjectKey: JSONValue] = [:]
        var skipped: [String: Int] = [:]
        var notices: [String] = []
        for namespace in settings.namespaces {
            let own = try await self.namespace(namespace, &notices)
            var found = 0
            for kind in settings.kinds {
                let items = try await kubectl.list(kind, namespace: namespace, selector: settings.selector)
                found += items.count
                try take(items, &objects, &skipped)
            }
            if let own {
                try take([own], &objects, &skipped)
            } else if found == 0 {
                throw Failure(
                    .sourceNotFound, "namespace '\(namespace)' has no objects, and whether it exists may not be asked",
                    hint: "Check 'namespaces' of the source, or grant 'get' on namespaces.")
            }
        }
        for kind in settings.clusterKinds {
            try take(try await kubectl.list(kind, namespace: "", selector: settings.selector), &objects, &skipped)
        }
        guard !objects.isEmpty else {
            throw Failure(
                .nothingSelected, "no object is selected",
                hint: "Check 'kinds', 'selector' and 'exclude' of the source.")
        }
        for (reason, count) in skipped.sorted(by: { $0.key < $1.key }) {
            notices.append("\(count) objects are not stored: \(reason)")
        }
        return try await deliver(objects, server, notices, into: sink)
    }

    private func take(
        _ items: [JSONValue], _ objects: inout [ObjectKey: JSONValue], _ skipped: inout [String: Int]
    ) throws {
        for item in items {
            guard let key = ObjectKey(item) else { continue }
            if let reason = ObjectCleaning.reasonToSkip(item) {
                skipped[reason, default: 0] += 1
            } else if settings.excludes(key) {
                skipped["excluded by the plan", default: 0] += 1
            } else {
                objects[key] = ObjectCleaning.clean(item)
            }
        }
    }

    /// The namespace's own object; nil when the user may not look at it. `kubectl get` of what is in a namespace that does
    /// not exist gives an empty list and success.
    private func namespace(_ name: String, _ notices: inout [String]) async throws -> JSONValue? {
        do {
            guard let namespace = try await kubectl.object("namespace", name) else {
                throw Failure(
                    .sourceNotFound, "there is no namespace '\(name)'", hint: "Check 'namespaces' of the source.")
            }
            return namespace
        } catch let failure as Failure where failure.code == .sourceDenied {
            notices.append("namespace '\(name)' itself is not stored: the user may not get namespaces")
            return nil
        }
    }

    private func deliver(
        _ objects: [ObjectKey: JSONValue], _ server: String, _ notices: [String], into sink: any CaptureSink
    ) async throws -> CaptureReport {
        let keys = objects.keys.sorted()
        let notices =
            notices
            + keys.filter { objects[$0].map(ObjectText.isAppliable) == false }.map {
                "\($0) has text with characters that no server takes by server-side apply: a restore has to leave it out"
            }
        let bytes = Array(ObjectText.yaml(keys.compactMap { objects[$0] }).utf8)
        // What was written must be what a restore reads.
        guard try ObjectText.objects(String(decoding: bytes, as: UTF8.self)) == keys.compactMap({ objects[$0] }) else {
            throw Failure(.internalError, "the objects are not the same after they were written as YAML")
        }
        _ = try await sink.raw(Self.stream, fileName: "objects.yaml", estimatedBytes: UInt64(bytes.count)) { output in
            try await Blocking.run { try output.write(bytes) }
            return StreamEnd(length: UInt64(bytes.count))
        }
        return CaptureReport(
            engine: server, facts: Self.facts(keys),
            restoreData: [
                "version": .string(server), "cluster": (try await clusterID()).map { .string($0) } ?? .null,
                "context": .string(settings.context ?? ""),
            ],
            notices: notices)
    }

    /// How many objects of each kind there are, by namespace: nothing of what is in them.
    static func facts(_ keys: [ObjectKey]) -> Facts {
        var counts: [String: Int64] = [:]
        for key in keys {
            counts["\(key.namespace.isEmpty ? "cluster" : key.namespace)/\(key.kind) objects", default: 0] += 1
        }
        return Facts(counts.mapValues { .count($0) })
    }

    /// `Kubernetes v1.32.4`.
    func serverVersion() async throws -> String {
        let answer = try await kubectl.output(["version", "--output=json"])
        struct Versions: Decodable {
            struct Version: Decodable { var gitVersion: String }
            var serverVersion: Version?
        }
        // Some clients answer although the server does not; then there is no server version.
        guard let version = try? JSONDecoder().decode(Versions.self, from: Data(answer)).serverVersion else {
            throw Failure(
                .sourceUnreachable, "the API server does not tell its version",
                hint: "Check 'kubeconfig' and 'context'.")
        }
        return "Kubernetes \(version.gitVersion)"
    }

    /// What tells one cluster from another: the id of a namespace that every cluster has and nobody can delete. nil when
    /// the user may not look at it.
    func clusterID() async throws -> String? {
        do {
            return try await kubectl.object("namespace", "kube-system")?["metadata"]?["uid"]?.string
        } catch let failure as Failure where failure.code == .sourceDenied {
            return nil
        }
    }
}
