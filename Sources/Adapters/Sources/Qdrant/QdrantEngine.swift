// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// Qdrant as restores into new collections see it.
struct QdrantEngine: AliasedEngine {
    let nodes: [QdrantNode]

    private var first: QdrantNode { get throws { try QdrantAdapter.first(nodes) } }

    func collections() async throws -> Set<String> { Set(try await first.collections()) }

    func aliases() async throws -> [String: String] { try await first.aliases() }

    func remove(_ collection: String) async throws { try await first.remove(collection) }

    /// Qdrant refuses an alias that is named like a collection, so a collection goes first: between the two requests its
    /// name means nothing.
    func switchOver(_ change: AliasChange) async throws {
        let present = try await collections()
        for name in change.removing where present.contains(name) { try await remove(name) }
        let known = try await aliases()
        var actions: [JSONValue] = []
        for (alias, collection) in change.pointing.sorted(by: { $0.key < $1.key }) where known[alias] != collection {
            if known[alias] != nil { actions.append(["delete_alias": ["alias_name": .string(alias)]]) }
            actions.append([
                "create_alias": ["collection_name": .string(collection), "alias_name": .string(alias)]
            ])
        }
        for alias in change.dropping where known[alias] != nil {
            actions.append(["delete_alias": ["alias_name": .string(alias)]])
        }
        try await first.change(actions)
    }

    /// Makes a snapshot of each node and loads it into the copy, past this host's disk.
    func copy(_ name: String, to copy: String) async throws {
        let (first, before) = (try first, try await first.count(name))
        let config = try await first.collection(name)["config"] ?? .null
        let keys = try await first.shards(name).keys
        if nodes.count > 1 || !keys.isEmpty {
            try await first.create(copy, Self.creation(config))
            var made: [JSONValue] = []
            for (_, key) in keys.sorted(by: { $0.key < $1.key }) where !made.contains(key) {
                try await first.createShardKey(key, of: copy)
                made.append(key)
            }
        }
        for source in nodes {
            let held = Set(try await source.shards(name).local.keys)
            guard !held.isEmpty else { continue }
            let snapshot = try await source.makeSnapshot(name)
            do {
                for target in nodes where nodes.count == 1 || target.name == source.name {
                    try await target.upload(
                        into: copy, fileName: snapshot.name, length: snapshot.size,
                        checksum: snapshot.checksum.flatMap { SHA256Digest(hexadecimal: $0) },
                        priority: nodes.count == 1 ? "snapshot" : "no_sync"
                    ) { sink in _ = try await source.download(snapshot, of: name) { try sink.write($0) } }
                    for left in try await target.snapshots(copy) {
                        try await target.removeSnapshot(left.name, of: copy)
                    }
                }
            } catch {
                // The first error is the one to tell.
                await Task { try? await source.removeSnapshot(snapshot.name, of: name) }.value
                throw error
            }
            try await source.removeSnapshot(snapshot.name, of: name)
        }
        let (after, copied) = (try await first.count(name), try await first.count(copy))
        guard (min(before, after)...max(before, after)).contains(copied) else {
            throw Failure(
                .restoreFailed, "the copy of collection '\(name)' has \(copied) points and the collection has \(after)",
                hint: "Nothing was replaced; hold back writes and try again.")
        }
    }

    /// The body that makes a collection like one with `config`.
    static func creation(_ config: JSONValue) -> JSONValue {
        var body = config["params"]?.members ?? [:]
        for key in ["hnsw_config", "wal_config", "quantization_config", "strict_mode_config"] {
            if let value = config[key], value != .null { body[key] = value }
        }
        if let value = config["optimizer_config"], value != .null { body["optimizers_config"] = value }
        // What is not set is not sent: a null is refused for some.
        return .object(body.filter { $0.value != .null })
    }
}
