// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

extension QdrantDouble {
    func route(_ request: HTTPDouble.Request, _ path: [String], _ state: inout State) throws -> HTTPDouble.Reply {
        let body = (try? JSONDecoder().decode(JSONValue.self, from: Data(request.body))) ?? .null
        switch (request.method, path.count, path.first, path.dropFirst(2).first) {
        case ("GET", 0, _, _):
            let reply: JSONValue = ["title": "qdrant - vector search engine", "version": .string(version)]
            return .response(200, body: Array(try JSONEncoder().encode(reply)))
        case ("GET", 1, "collections", _):
            let names = state.collections.keys.sorted().map { JSONValue.object(["name": .string($0)]) }
            return try Self.result(["collections": .array(names)])
        case ("GET", 1, "aliases", _):
            let entries = state.aliases.map { alias, name -> JSONValue in
                ["alias_name": .string(alias), "collection_name": .string(name)]
            }
            return try Self.result(["aliases": .array(entries)])
        case ("POST", 2, "collections", _) where path[1] == "aliases":
            return try changeAliases(body, &state)
        case ("PUT", 2, "collections", _):
            return try create(path[1], body, &state)
        case ("DELETE", 2, "collections", _):
            let existed = state.collections.removeValue(forKey: path[1]) != nil
            state.aliases = state.aliases.filter { $0.value != path[1] }
            state.snapshots[path[1]] = nil
            return try Self.result(.bool(existed))
        case (_, 3..., "collections", "snapshots"?):
            return try snapshots(request, path, &state)
        case (_, 2..., "collections", _):
            return try collection(request, path, body, &state)
        default: throw Refusal(status: 404, words: "")
        }
    }

    /// All actions or none; an alias cannot have the name of a collection.
    private func changeAliases(_ body: JSONValue, _ state: inout State) throws -> HTTPDouble.Reply {
        var aliases = state.aliases
        for action in body["actions"]?.array ?? [] {
            if let create = action["create_alias"] {
                guard let name = create["collection_name"]?.string, state.collections[name] != nil,
                    let alias = create["alias_name"]?.string
                else { throw Refusal(status: 404, words: "Not found: Collection doesn't exist!") }
                guard state.collections[alias] == nil else {
                    throw Refusal(status: 409, words: "Wrong input: Collection `\(alias)` already exists!")
                }
                aliases[alias] = name
            } else if let alias = action["delete_alias"]?["alias_name"]?.string {
                guard aliases.removeValue(forKey: alias) != nil else {
                    throw Refusal(status: 404, words: "Not found: Alias \(alias) does not exist!")
                }
            } else {
                throw Refusal(status: 400, words: "Format error in JSON body: unknown action")
            }
        }
        state.aliases = aliases
        return try Self.result(true)
    }

    private func create(_ name: String, _ body: JSONValue, _ state: inout State) throws -> HTTPDouble.Reply {
        guard state.collections[name] == nil, state.aliases[name] == nil else {
            throw Refusal(status: 409, words: "Wrong input: Collection `\(name)` already exists!")
        }
        guard let vectors = body["vectors"] else { throw Refusal(status: 400, words: "no vectors") }
        var params: [String: JSONValue] = ["vectors": vectors, "shard_number": body["shard_number"] ?? 1]
        params["sharding_method"] = body["sharding_method"]
        state.collections[name] = Collection(config: ["params": .object(params)])
        return try Self.result(true)
    }

    private func collection(
        _ request: HTTPDouble.Request, _ path: [String], _ body: JSONValue, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        let name = state.aliases[path[1]] ?? path[1]
        guard var found = state.collections[name] else {
            throw Refusal(status: 404, words: "Not found: Collection `\(name)` doesn't exist!")
        }
        let points = found.points.sorted { $0.key < $1.key }.map(\.value)
        switch (request.method, path.dropFirst(2).joined(separator: "/")) {
        case ("GET", ""):
            return try Self.result([
                "status": "green", "points_count": .integer(Int64(points.count)), "config": found.config,
                "payload_schema": [:],
            ])
        case ("GET", "cluster"):
            return try Self.result(shards(of: found, state))
        case ("PUT", "shards"):
            guard found.isCustom, let key = body["shard_key"]?.string, !found.keys.contains(key) else {
                throw Refusal(status: 400, words: "Bad request: shard key")
            }
            found.keys.append(key)
            state.collections[name] = found
            return try Self.result(true)
        case ("POST", "points/count"):
            if state.faults.contains(.writes) {
                state.counter += 1
                let id = Int64(1_000_000 + state.counter)
                state.collections[name]?.points[id] = ["id": .integer(id), "vector": [1, 0], "payload": [:]]
            }
            guard body["exact"]?.bool == true else { throw Refusal(status: 400, words: "the tests count exactly") }
            return try Self.result(["count": .integer(Int64(state.collections[name]?.points.count ?? 0))])
        case ("POST", "points/scroll"):
            return try Self.result(["points": .array(Array(points.prefix(Int(body["limit"]?.integer ?? 10))))])
        case ("POST", "points"):
            let ids = (body["ids"]?.array ?? []).compactMap(\.integer)
            return try Self.result(.array(ids.compactMap { found.points[$0] }))
        case ("PUT", "points"):
            for point in body["points"]?.array ?? [] { found.points[point["id"]?.integer ?? 0] = point }
            state.collections[name] = found
            return try Self.result(["operation_id": 0, "status": "completed"])
        default: throw Refusal(status: 404, words: "")
        }
    }

    private func shards(of collection: Collection, _ state: State) -> JSONValue {
        var local: [JSONValue] = []
        if collection.isCustom {
            for (index, key) in collection.keys.enumerated() {
                local.append(["shard_id": .integer(Int64(index)), "shard_key": .string(key), "state": "Active"])
            }
        } else {
            local = [["shard_id": 0, "state": "Active", "points_count": .integer(Int64(collection.points.count))]]
        }
        let remote: JSONValue =
            state.faults.contains(.remoteShard) ? [["shard_id": 1, "peer_id": 7, "state": "Active"]] : []
        return ["peer_id": 0, "shard_count": 1, "local_shards": .array(local), "remote_shards": remote]
    }

    // MARK: Snapshots

    private func snapshots(
        _ request: HTTPDouble.Request, _ path: [String], _ state: inout State
    ) throws -> HTTPDouble.Reply {
        let name = path[1]
        if request.method == "POST", path.dropFirst(3).first == "upload" { return try upload(request, name, &state) }
        guard let found = state.collections[name] else {
            throw Refusal(status: 404, words: "Not found: Collection `\(name)` doesn't exist!")
        }
        func entry(_ snapshot: (name: String, bytes: [UInt8], checksum: String)) -> JSONValue {
            [
                "name": .string(snapshot.name), "creation_time": .string(String("\(SystemClock().now())".dropLast())),
                "size": .integer(Int64(snapshot.bytes.count)),
                "checksum": state.faults.contains(.noChecksum) ? .null : .string(snapshot.checksum),
            ]
        }
        switch (request.method, path.count) {
        case ("GET", 3): return try Self.result(.array((state.snapshots[name] ?? []).map(entry)))
        case ("POST", 3):
            for case .refusesSnapshots(let status) in state.faults {
                throw Refusal(status: status, words: status == 507 ? "No space left on device" : "Forbidden")
            }
            state.counter += 1
            let bytes = try codec.encode(found)
            let made = (
                name: "\(name)-\(state.counter)-2026-11-21-02-00-00.snapshot", bytes: bytes,
                checksum: SHA256Digest.of(bytes).description
            )
            state.snapshots[name, default: []].append(made)
            if state.faults.contains(.diesAfterSnapshot) { return .raw([], reset: true) }
            return try Self.result(entry(made))
        case ("GET", 4):
            guard let snapshot = state.snapshots[name]?.first(where: { $0.name == path[3] }) else {
                throw Refusal(status: 404, words: "Not found: Snapshot")
            }
            return state.faults.contains(.stalls) ? .silence : file(snapshot.bytes, state)
        case ("DELETE", 4):
            let before = state.snapshots[name]?.count
            state.snapshots[name]?.removeAll { $0.name == path[3] }
            guard before != state.snapshots[name]?.count else {
                throw Refusal(status: 404, words: "Not found: Snapshot")
            }
            return try Self.result(true)
        default: throw Refusal(status: 404, words: "")
        }
    }

    private func file(_ bytes: [UInt8], _ state: State) -> HTTPDouble.Reply {
        var bytes = bytes
        if state.faults.contains(.flippedBit) { bytes[bytes.count / 2] ^= 4 }
        guard state.faults.contains(.truncated) else { return .response(200, body: bytes) }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"
        return .raw(Array(head.utf8) + bytes.prefix(bytes.count / 2), reset: false)
    }

    private func upload(
        _ request: HTTPDouble.Request, _ name: String, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        let query = URLComponents(string: request.target)?.queryItems ?? []
        guard let file = MultipartBody.file(of: request, field: "snapshot") else {
            throw Refusal(status: 400, words: "Multipart error: no field 'snapshot'")
        }
        if let wanted = query.first(where: { $0.name == "checksum" })?.value,
            wanted != SHA256Digest.of(file).description
        {
            throw Refusal(status: 400, words: "Snapshot checksum mismatch")
        }
        var loaded: Collection
        do { loaded = try codec.decode(file) } catch {
            throw Refusal(status: 500, words: "Service internal error: failed to unpack: \(error)")
        }
        if let present = state.collections[name] {
            guard present.config["params"]?["vectors"] == loaded.config["params"]?["vectors"] else {
                throw Refusal(status: 400, words: "Wrong input: vectors are incompatible")
            }
            // Data goes to shards of the same number: keys that were not made, or in another order, get none of it.
            if loaded.isCustom, present.keys != loaded.keys { loaded.points = [:] }
            loaded.keys = present.keys
        } else if loaded.isCustom {
            // github.com/qdrant/qdrant/issues/10135: true, and nothing is there.
            loaded.points = [:]
            loaded.keys = []
        }
        if state.faults.contains(.loadsNothing) { loaded.points = [:] }
        state.collections[name] = loaded
        // The uploaded file stays.
        state.snapshots[name, default: []].append(("uploaded.snapshot", file, SHA256Digest.of(file).description))
        return try Self.result(true)
    }
}
