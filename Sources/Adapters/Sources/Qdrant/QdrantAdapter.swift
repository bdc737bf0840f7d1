// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// Qdrant: snapshots of each collection on each named node, aliases, parameters.
struct QdrantAdapter: FreezingAdapter {
    let settings: QdrantSettings
    let environment: AdapterEnvironment

    /// Does `body` while all nodes can be reached.
    func withNodes<Result: Sendable>(
        _ body: @Sendable ([QdrantNode]) async throws -> Result
    ) async throws -> Result {
        try await opened(settings.nodes[...], [], body)
    }

    private func opened<Result: Sendable>(
        _ rest: ArraySlice<QdrantSettings.Node>, _ nodes: [QdrantNode],
        _ body: @Sendable ([QdrantNode]) async throws -> Result
    ) async throws -> Result {
        guard let next = rest.first else { return try await body(nodes) }
        var place = environment
        if let transport = next.transport { place.transport = try environment.transport(ofPart: transport) }
        let server = WebServer(
            system: "Qdrant", settings: next.web, environment: place, keyHeader: "api-key",
            timeoutSeconds: settings.timeout)
        return try await server.use { web in
            let node = QdrantNode(name: next.name, web: web, patience: settings.snapshotTimeout)
            return try await opened(rest.dropFirst(), nodes + [node], body)
        }
    }
}

/// Names of facts and streams.
enum QdrantNames {
    static let parameters = "collections"

    static func points(_ collection: String) -> String { "collection \(collection) points" }

    static func vectors(_ collection: String) -> String { "collection \(collection) vectors" }

    static func sample(_ collection: String) -> String { "collection \(collection) sampled points sha256" }

    static func stream(_ collection: String, _ node: String) -> String {
        GivenNames.stream(node.isEmpty ? "snapshot" : "snapshot-\(node)", collection)
    }
}

/// The version of a server, of which neighbours understand each other's files.
struct QdrantVersion: Sendable, CustomStringConvertible, Equatable {
    var major: Int
    var minor: Int
    var description: String

    init?(_ text: String) {
        let parts = text.split(separator: ".")
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        self.major = major
        self.minor = minor
        description = text
    }

    /// Whether a server of this version loads a snapshot of one of version `other`: the vendor promises one minor step
    /// forward.
    func loads(_ other: QdrantVersion) -> Bool {
        major == other.major && (minor == other.minor || minor == other.minor + 1)
    }
}
