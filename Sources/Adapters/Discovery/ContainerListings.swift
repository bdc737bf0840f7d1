// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// Containers and pods that run, as their own clients list them. Of each only names, labels and the image are looked at:
/// its environment and arguments hold passwords.
struct ContainerListings: Sendable {
    let transport: any Transport

    /// What one client said; a failure is a note for people.
    struct Answer: Sendable {
        var findings: [Finding] = []
        var note: String?
    }

    private static let patience = 10

    /// One container as `docker` and `podman` print it, each with types of its own.
    private struct Listed<Names: Decodable, Labels: Decodable>: Decodable {
        enum CodingKeys: String, CodingKey {
            case names = "Names"
            case image = "Image"
            case labels = "Labels"
        }
        var names: Names
        var image: String
        var labels: Labels
    }

    func docker() async -> Answer {
        await answer("docker", ["ps", "--format", "{{json .}}"]) { bytes in
            return try String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
                let container = try JSONDecoder().decode(Listed<String, String>.self, from: Data(line.utf8))
                let labels = Dictionary(
                    container.labels.split(separator: ",").map { pair in
                        let parts = pair.split(separator: "=", maxSplits: 1)
                        return (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
                    }
                ) { first, _ in first }
                let name = String(container.names.split(separator: ",").first ?? "")
                return Self.finding(container.image, labels, .docker(name: name), named: name)
            }
        }
    }

    func podman() async -> Answer {
        await answer("podman", ["ps", "--format", "json"]) { bytes in
            return try JSONDecoder().decode([Listed<[String], [String: String]?>].self, from: Data(bytes)).compactMap {
                container in
                let name = container.names.first ?? ""
                return Self.finding(container.image, [:], .podman(name: name), named: name)
            }
        }
    }

    func pods() async -> Answer {
        // Not with kubectl's own time limit: given one, it does not find the service account of a pod.
        let arguments = ["get", "pods", "--all-namespaces", "--output=json"]
        return await answer("kubectl", arguments) { bytes in
            struct List: Decodable {
                struct Pod: Decodable {
                    struct Metadata: Decodable {
                        struct Owner: Decodable { var kind: String }
                        var name: String
                        var namespace: String
                        var labels: [String: String]?
                        var ownerReferences: [Owner]?
                    }
                    struct Spec: Decodable {
                        struct Container: Decodable { var name: String, image: String }
                        var containers: [Container]
                    }
                    struct Status: Decodable { var phase: String? }
                    var metadata: Metadata
                    var spec: Spec
                    var status: Status?
                }
                var items: [Pod]
            }
            return try JSONDecoder().decode(List.self, from: Data(bytes)).items.flatMap { pod -> [Finding] in
                guard pod.status?.phase == "Running" else { return [] }
                let labels = pod.metadata.labels ?? [:]
                let selector = ["app.kubernetes.io/instance", "app.kubernetes.io/name", "app"].lazy
                    .compactMap { key in labels[key].map { "\(key)=\($0)" } }.first
                // A pod of a StatefulSet keeps its name; others get a new one each time.
                let keepsName = pod.metadata.ownerReferences?.contains { $0.kind == "StatefulSet" } ?? true
                return pod.spec.containers.compactMap { container in
                    guard let adapter = KnownSystems.adapter(image: container.image) else { return nil }
                    return Finding(
                        adapter: adapter,
                        place: .pod(
                            namespace: pod.metadata.namespace,
                            pod: keepsName || selector == nil ? pod.metadata.name : nil,
                            selector: keepsName ? nil : selector, container: container.name),
                        evidence: "image \(container.image) in pod \(pod.metadata.namespace)/\(pod.metadata.name)")
                }
            }
        }
    }

    private static func finding(
        _ image: String, _ labels: [String: String], _ place: Finding.Place, named name: String
    ) -> Finding? {
        guard let adapter = KnownSystems.adapter(image: image) else { return nil }
        let evidence = "image \(image) in container \(name)"
        // A service keeps its name when its container is made anew.
        if let project = labels["com.docker.compose.project"], let service = labels["com.docker.compose.service"] {
            return Finding(
                adapter: adapter, place: .compose(project: project, service: service), evidence: evidence)
        }
        return Finding(adapter: adapter, place: place, evidence: evidence)
    }

    private func answer(
        _ program: String, _ arguments: [String], _ read: @escaping @Sendable ([UInt8]) throws -> [Finding]
    ) async -> Answer {
        do {
            let bytes = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask { try await transport.output(of: Program(program, arguments)) }
                group.addTask {
                    try await Task.sleep(for: .seconds(Self.patience))
                    throw Failure(.programFailed, "\(program) did not answer in \(Self.patience) s")
                }
                defer { group.cancelAll() }
                return try await group.next() ?? []
            }
            return Answer(findings: try read(bytes))
        } catch let failure as Failure where failure.code == .programMissing {
            return Answer()
        } catch let failure as Failure {
            return Answer(note: "\(program) was not asked: \(failure.summary)")
        } catch {
            return Answer(note: "what \(program) answers is not understood")
        }
    }
}
