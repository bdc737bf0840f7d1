// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// The snapshots of one collection, and what was known of it around them.
struct QdrantCopy: Sendable {
    /// The snapshot of one node.
    struct Part: Sendable {
        var node: String
        var snapshot: QdrantNode.Snapshot
        var shards: [Int64]
        /// Its note.
        var note: String
    }

    var collection: String
    var parameters: JSONValue
    var schema: JSONValue
    /// Keys of shards, where points are spread by key.
    var keys: [Int64: JSONValue]
    var parts: [Part]
    /// Points before and after.
    var least: Int64
    var most: Int64
    /// Points that were the same before and after.
    var sample: [JSONValue]

    static func digest(_ points: [JSONValue]) -> Facts.Value {
        .text(SHA256Digest.of(JSONValue.array(points).canonical.utf8).description)
    }
}

/// Snapshots on the server until they are released.
struct FrozenQdrant: FrozenSource {
    let adapter: QdrantAdapter
    let copies: [QdrantCopy]
    let version: QdrantVersion
    let aliases: [String: String]
    let notices: [String]
    let frozen: (from: Timestamp, to: Timestamp)

    var position: String? { nil }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await adapter.withNodes { nodes in
            for copy in copies {
                for part in copy.parts { try await stream(part, of: copy, nodes, into: sink) }
            }
        }
        let text = document().text
        _ = try await sink.raw(
            QdrantNames.parameters, fileName: "collections.json", estimatedBytes: UInt64(text.count)
        ) { output in
            try await Blocking.run { try output.write(text) }
            return StreamEnd(length: UInt64(text.count))
        }
        return CaptureReport(
            engine: "Qdrant \(version)", facts: facts(), restoreData: restoreData(), notices: notices,
            position: position)
    }

    private func stream(
        _ part: QdrantCopy.Part, of copy: QdrantCopy, _ nodes: [QdrantNode], into sink: any CaptureSink
    ) async throws {
        guard let node = nodes.first(where: { $0.name == part.node }) else { return }
        _ = try await sink.raw(
            QdrantNames.stream(copy.collection, part.node), fileName: "\(SafeName.escaping(copy.collection)).snapshot",
            estimatedBytes: part.snapshot.size
        ) { output in
            try await node.download(part.snapshot, of: copy.collection) { try output.write($0) }
        }
    }

    func release() async throws {
        try await adapter.withNodes { nodes in
            for copy in copies {
                for part in copy.parts {
                    guard let node = nodes.first(where: { $0.name == part.node }) else { continue }
                    try await node.removeSnapshot(part.snapshot.name, of: copy.collection)
                    try await adapter.environment.freezeNotes.erase(part.note)
                }
            }
        }
    }

    private func facts() -> Facts {
        var facts = Facts()
        for copy in copies {
            if copy.least == copy.most { facts[QdrantNames.points(copy.collection)] = .count(copy.most) }
            facts[QdrantNames.vectors(copy.collection)] = .text(
                (copy.parameters["params"]?["vectors"] ?? .null).canonical)
            if !copy.sample.isEmpty { facts[QdrantNames.sample(copy.collection)] = QdrantCopy.digest(copy.sample) }
        }
        return facts
    }

    /// Aliases and parameters as text, enough to make the collections by hand.
    private func document() -> JSONValue {
        let collections = copies.map { copy -> (String, JSONValue) in
            (copy.collection, ["config": copy.parameters, "payload_schema": copy.schema])
        }
        return [
            "version": .string(version.description),
            "aliases": .object(aliases.mapValues { .string($0) }),
            "collections": .object(Dictionary(collections) { first, _ in first }),
        ]
    }

    private func restoreData() -> JSONValue {
        let collections = copies.map { copy -> JSONValue in
            let parts = copy.parts.map { part -> JSONValue in
                [
                    "node": .string(part.node),
                    "stream": .string(QdrantNames.stream(copy.collection, part.node)),
                    "shards": .array(part.shards.map { .integer($0) }),
                ]
            }
            let keys = copy.keys.sorted { $0.key < $1.key }.map { JSONValue.array([.integer($0.key), $0.value]) }
            return [
                "name": .string(copy.collection), "config": copy.parameters, "keys": .array(keys),
                "parts": .array(parts), "least": .integer(copy.least), "most": .integer(copy.most),
                "sample": .array(copy.sample.compactMap { $0["id"] }),
            ]
        }
        return [
            "version": .string(version.description), "collections": .array(collections),
            "aliases": .object(aliases.mapValues { .string($0) }),
        ]
    }
}
