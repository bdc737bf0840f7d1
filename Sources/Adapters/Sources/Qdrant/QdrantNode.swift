// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// The calls to one Qdrant server (OpenAPI of Qdrant 1.9 to 1.19).
struct QdrantNode: Sendable {
    /// Empty for a server that stands alone.
    let name: String
    let web: WebConnection
    /// Seconds that making or loading a snapshot may take.
    let patience: Int

    /// A snapshot on the server.
    struct Snapshot: Sendable {
        var name: String
        var size: UInt64
        var checksum: String?
        var created: String?
    }

    /// What a node knows of a collection's shards.
    struct Shards: Sendable {
        var peer: Int64
        var local: [Int64: String]
        var remote: Set<Int64>
        /// Shard keys by shard, for custom sharding.
        var keys: [Int64: JSONValue]
    }

    private func path(_ collection: String, _ rest: String = "") -> String {
        "/collections/\(WebConnection.segment(collection))\(rest)"
    }

    /// The envelope's `result`.
    private func result(
        _ method: String, _ path: String, _ body: JSONValue? = nil, step: String, patience: Int? = nil
    ) async throws -> JSONValue {
        let reply = try await web.json(method, path, body, step: step, patience: patience)
        guard let result = reply["result"] else {
            throw Failure(
                .sourceFailed, "\(web.name): \(step): the answer has no 'result'",
                hint: "Look whether 'connection' really points at Qdrant.")
        }
        return result
    }

    func version() async throws -> QdrantVersion {
        let reply = try await web.json("GET", "/", step: "asking for the version")
        guard reply["title"]?.string?.contains("qdrant") == true,
            let version = reply["version"]?.string.flatMap({ QdrantVersion($0) })
        else {
            throw Failure(
                .sourceFailed, "\(web.name) does not answer as Qdrant does",
                hint: "Point 'connection' at Qdrant's HTTP port, usually 6333.")
        }
        return version
    }

    func collections() async throws -> [String] {
        let found = try await result("GET", "/collections", step: "listing the collections")
        return (found["collections"]?.array ?? []).compactMap { $0["name"]?.string }.sorted()
    }

    func aliases() async throws -> [String: String] {
        let found = try await result("GET", "/aliases", step: "listing the aliases")
        var aliases: [String: String] = [:]
        for entry in found["aliases"]?.array ?? [] {
            if let alias = entry["alias_name"]?.string { aliases[alias] = entry["collection_name"]?.string }
        }
        return aliases
    }

    func collection(_ name: String) async throws -> JSONValue {
        try await result("GET", path(name), step: "reading the parameters of collection '\(name)'")
    }

    func shards(_ name: String) async throws -> Shards {
        let found = try await result("GET", path(name, "/cluster"), step: "listing the shards of collection '\(name)'")
        var shards = Shards(peer: found["peer_id"]?.integer ?? 0, local: [:], remote: [], keys: [:])
        for entry in found["local_shards"]?.array ?? [] {
            guard let id = entry["shard_id"]?.integer else { continue }
            shards.local[id] = entry["state"]?.string ?? "Active"
            if let key = entry["shard_key"], key != .null { shards.keys[id] = key }
        }
        for entry in found["remote_shards"]?.array ?? [] {
            guard let id = entry["shard_id"]?.integer else { continue }
            shards.remote.insert(id)
            if let key = entry["shard_key"], key != .null { shards.keys[id] = key }
        }
        return shards
    }

    /// The exact number of points, over all nodes.
    func count(_ name: String) async throws -> Int64 {
        let found = try await result(
            "POST", path(name, "/points/count"), ["exact": true], step: "counting the points of collection '\(name)'",
            patience: patience)
        guard let count = found["count"]?.integer else {
            throw Failure(.sourceFailed, "\(web.name) does not tell the number of points of collection '\(name)'")
        }
        return count
    }

    /// Up to `limit` points with vectors and payload, in order of id.
    func sample(_ name: String, limit: Int) async throws -> [JSONValue] {
        let body: JSONValue = [
            "limit": .integer(Int64(limit)), "with_payload": true, "with_vector": true,
        ]
        let found = try await result(
            "POST", path(name, "/points/scroll"), body, step: "reading points of collection '\(name)'")
        return found["points"]?.array ?? []
    }

    /// The points of those ids, with vectors and payload, in the order of `ids`.
    func points(_ name: String, ids: [JSONValue]) async throws -> [JSONValue] {
        let body: JSONValue = ["ids": .array(ids), "with_payload": true, "with_vector": true]
        let found = try await result(
            "POST", path(name, "/points"), body, step: "reading points of collection '\(name)'")
        let points = found.array ?? []
        return ids.compactMap { id in points.first { $0["id"] == id } }
    }

    // MARK: Snapshots

    func snapshots(_ name: String) async throws -> [Snapshot] {
        let found = try await result(
            "GET", path(name, "/snapshots"), step: "listing the snapshots of collection '\(name)'")
        return (found.array ?? []).compactMap { Self.snapshot($0) }
    }

    func makeSnapshot(_ name: String) async throws -> Snapshot {
        let step = "making a snapshot of collection '\(name)'"
        let found = try await result("POST", path(name, "/snapshots?wait=true"), step: step, patience: patience)
        guard let snapshot = Self.snapshot(found), snapshot.size > 0 else {
            throw Failure(
                .sourceFailed, "\(web.name): \(step): the answer names no snapshot", hint: "Look in the server's log.")
        }
        return snapshot
    }

    private static func snapshot(_ value: JSONValue) -> Snapshot? {
        guard let name = value["name"]?.string, !name.isEmpty else { return nil }
        return Snapshot(
            name: name, size: value["size"]?.integer.flatMap { UInt64(exactly: $0) } ?? 0,
            checksum: value["checksum"]?.string, created: value["creation_time"]?.string)
    }

    /// Gives a snapshot's bytes to `consume`, and throws unless they are as many as announced and have the checksum that
    /// the server took when it made it: Qdrant itself loads most damaged ones without a word.
    func download(
        _ snapshot: Snapshot, of name: String,
        _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> StreamEnd {
        let digest = SharedDigest()
        let step = "reading snapshot '\(snapshot.name)' of collection '\(name)'"
        let length = try await web.download(
            path(name, "/snapshots/\(WebConnection.segment(snapshot.name))"), step: step, patience: 300
        ) { bytes in
            digest.update(bytes)
            try consume(bytes)
        }
        guard length == snapshot.size else {
            throw Failure(
                .sourceFailed, "\(web.name): \(step): \(length) bytes came and it has \(snapshot.size)",
                hint: "Look what lies between (a proxy?), then try again.")
        }
        if let checksum = snapshot.checksum, checksum != digest.description {
            throw Failure(
                .sourceFailed,
                "\(web.name): \(step): its checksum does not fit, so it was damaged on disk or on its way",
                hint: "Check the server's disk and memory, then try again.")
        }
        return StreamEnd(length: length)
    }

    /// Removes a snapshot; succeeds when there is none.
    func removeSnapshot(_ snapshot: String, of name: String) async throws {
        _ = try await web.send(
            "DELETE", path(name, "/snapshots/\(WebConnection.segment(snapshot))?wait=true"),
            step: "removing snapshot '\(snapshot)' of collection '\(name)'", accepting: [200, 404])
    }

    /// Loads a snapshot of `length` bytes that `produce` writes into a collection.
    func upload(
        into name: String, fileName: String, length: UInt64, checksum: SHA256Digest?, priority: String,
        _ produce: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws {
        let step = "loading a snapshot into collection '\(name)'"
        let sum = checksum.map { "&checksum=\($0)" } ?? ""
        let reply = try await web.uploadForm(
            path(name, "/snapshots/upload?wait=true&priority=\(priority)\(sum)"), field: "snapshot",
            fileName: fileName, length: length, step: step, patience: patience, produce)
        guard reply.json?["result"]?.bool == true else {
            throw Failure(.restoreFailed, "\(web.name): \(step): it did not say that it did", hint: "Look in its log.")
        }
    }

    // MARK: Changes

    func create(_ name: String, _ parameters: JSONValue) async throws {
        _ = try await result("PUT", path(name), parameters, step: "creating collection '\(name)'")
    }

    func createShardKey(_ key: JSONValue, of name: String) async throws {
        _ = try await result(
            "PUT", path(name, "/shards"), ["shard_key": key], step: "creating a shard key of collection '\(name)'")
    }

    func remove(_ name: String) async throws {
        _ = try await web.send(
            "DELETE", path(name), step: "removing collection '\(name)'", accepting: [200, 404], patience: patience)
    }

    func change(_ actions: [JSONValue]) async throws {
        guard !actions.isEmpty else { return }
        let done = try await result(
            "POST", "/collections/aliases", ["actions": .array(actions)], step: "switching aliases")
        guard done.bool == true else {
            throw Failure(.restoreFailed, "\(web.name) did not switch the aliases", hint: "Look in its log.")
        }
    }
}
