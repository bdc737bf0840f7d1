// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

extension MeilisearchDouble {
    func route(_ request: HTTPDouble.Request, _ path: [String], _ state: inout State) throws -> HTTPDouble.Reply {
        let body = (try? JSONDecoder().decode(JSONValue.self, from: Data(request.body))) ?? .null
        let query = Dictionary(
            (URLComponents(string: request.target)?.queryItems ?? []).map { ($0.name, $0.value ?? "") }
        ) { $1 }
        switch (request.method, path.first, path.count) {
        case ("GET", "health", 1): return try Self.reply(200, ["status": "available"])
        case ("GET", "version", 1): return try Self.reply(200, ["pkgVersion": .string(version), "commitSha": "x"])
        case ("GET", "tasks", 1): return try tasks(query, state)
        case ("GET", "tasks", 2):
            guard let task = state.tasks.first(where: { String($0.uid) == path[1] }) else {
                throw Refusal(status: 404, code: "task_not_found", message: "Task `\(path[1])` not found.")
            }
            return try Self.reply(200, Self.json(task))
        case ("POST", "swap-indexes", 1): return try swap(body, &state)
        case ("POST", "dumps", 1):
            let task = state.tasks.count
            let (folder, version) = (dumps, version)
            return try Self.enqueue("dumpCreation", nil, &state) { state in
                let name = "20261121-02000000\(task)"
                try Self.writeDump(state.indexes, version, to: folder(name + ".dump"))
                state.tasks[task].details = ["dumpUid": .string(name)]
            }
        case (_, "keys", _): return try keys(request, path, body, &state)
        case ("GET", "indexes", 1):
            let all = state.indexes.sorted { $0.key < $1.key }.map { uid, index -> JSONValue in
                ["uid": .string(uid), "primaryKey": index.primaryKey.map { .string($0) } ?? .null]
            }
            let offset = Int(query["offset"] ?? "") ?? 0
            // Pages of one, so that whoever forgets to turn them is found out.
            return try Self.reply(
                200, ["results": .array(Array(all.dropFirst(offset).prefix(1))), "total": .integer(Int64(all.count))])
        case ("POST", "indexes", 1):
            guard let uid = body["uid"]?.string, uid.allSatisfy({ $0.isLetter || $0.isNumber || "-_".contains($0) })
            else { throw Refusal(status: 400, code: "invalid_index_uid", message: "`uid` is not valid") }
            let primaryKey = body["primaryKey"]?.string
            return try Self.enqueue("indexCreation", uid, &state) { state in
                guard state.indexes[uid] == nil else {
                    throw Refusal(status: 0, code: "index_already_exists", message: "Index `\(uid)` already exists.")
                }
                state.indexes[uid] = Index(primaryKey: primaryKey)
            }
        case ("DELETE", "indexes", 2):
            let uid = path[1]
            return try Self.enqueue("indexDeletion", uid, &state) { state in
                guard state.indexes.removeValue(forKey: uid) != nil else { throw Self.notFound(uid) }
            }
        case (_, "indexes", 3...): return try index(request, path, body, &state)
        default: throw Refusal(status: 404, code: "not_found", message: "no such route")
        }
    }

    /// The files of a dump of version 6, in a tar that is compressed.
    private static func writeDump(_ indexes: [String: Index], _ version: String, to path: String) throws {
        let folder = try TemporaryDirectory("dump")
        func write(_ name: String, _ value: JSONValue) throws {
            try folder.write(name, String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
        }
        try write("metadata.json", ["dumpVersion": "V6", "dbVersion": .string(version)])
        try folder.write("keys.jsonl", "")
        for (uid, index) in indexes {
            try write(
                "indexes/\(uid)/metadata.json",
                ["uid": .string(uid), "primaryKey": index.primaryKey.map { .string($0) } ?? .null])
            try write("indexes/\(uid)/settings.json", .object(index.settings))
            let lines = try index.documents.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) + "\n" }
            try folder.write("indexes/\(uid)/documents.jsonl", lines.joined())
        }
        try ShortCommand.run("tar", ["-czf", path, "-C", folder.path, "."])
    }

    private static func notFound(_ uid: String) -> Refusal {
        Refusal(status: 404, code: "index_not_found", message: "Index `\(uid)` not found.")
    }

    private func tasks(_ query: [String: String], _ state: State) throws -> HTTPDouble.Reply {
        let types = query["types"]?.split(separator: ",").map(String.init)
        let statuses = query["statuses"]?.split(separator: ",").map(String.init)
        let found = state.tasks.reversed().filter {
            types?.contains($0.type) ?? true && statuses?.contains($0.status) ?? true
        }
        let limit = Int(query["limit"] ?? "20") ?? 20
        return try Self.reply(
            200, ["results": .array(found.prefix(limit).map(Self.json)), "total": .integer(Int64(found.count))])
    }

    private func swap(_ body: JSONValue, _ state: inout State) throws -> HTTPDouble.Reply {
        let pairs = try (body.array ?? []).map { entry -> [String] in
            let names = (entry["indexes"]?.array ?? []).compactMap(\.string)
            guard names.count == 2 else {
                throw Refusal(status: 400, code: "invalid_swap_indexes", message: "two indexes are needed")
            }
            return names
        }
        let reply = try Self.enqueue("indexSwap", nil, details: ["swaps": body], &state) { state in
            for name in pairs.joined() where state.indexes[name] == nil { throw Self.notFound(name) }
            for pair in pairs {
                let first = state.indexes[pair[0]]
                state.indexes[pair[0]] = state.indexes[pair[1]]
                state.indexes[pair[1]] = first
            }
        }
        return state.faults.contains(.diesAfterSwap) ? .raw([], reset: true) : reply
    }

    private func keys(
        _ request: HTTPDouble.Request, _ path: [String], _ body: JSONValue, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        switch request.method {
        case "GET":
            return try Self.reply(200, ["results": .array(state.keys), "total": .integer(Int64(state.keys.count))])
        case "POST":
            guard let uid = body["uid"]?.string, body["actions"] != nil, body["indexes"] != nil,
                body["expiresAt"] != nil
            else { throw Refusal(status: 400, code: "missing_api_key_actions", message: "a field is missing") }
            guard !state.keys.contains(where: { $0["uid"]?.string == uid }) else {
                throw Refusal(status: 409, code: "api_key_already_exists", message: "the key exists")
            }
            state.keys.append(Self.key(uid, body))
            return try Self.reply(201, state.keys.last ?? .null)
        case "DELETE":
            state.keys.removeAll { $0["uid"]?.string == path.last }
            return .response(204)
        default: throw Refusal(status: 405, code: "not_allowed", message: "")
        }
    }

    private func index(
        _ request: HTTPDouble.Request, _ path: [String], _ body: JSONValue, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        let uid = path[1]
        let rest = path.dropFirst(2).joined(separator: "/")
        let found = state.indexes[uid]
        switch (request.method, rest) {
        case ("PATCH", "settings"):
            for key in body.object.keys where Self.defaults[key] == nil {
                throw Refusal(status: 400, code: "bad_request", message: "Unknown field `\(key)`")
            }
            return try Self.enqueue("settingsUpdate", uid, &state) { state in
                guard state.indexes[uid] != nil else { throw Self.notFound(uid) }
                state.indexes[uid]?.settings.merge(body.object) { $1 }
            }
        case ("POST", "documents"): return try add(request, uid, &state)
        default: break
        }
        guard let found else { throw Self.notFound(uid) }
        switch (request.method, rest) {
        case ("GET", "settings"): return try Self.reply(200, .object(found.settings))
        case ("GET", "stats"):
            return try Self.reply(
                200, ["numberOfDocuments": .integer(Int64(found.documents.count)), "isIndexing": false])
        case ("POST", "documents/fetch"):
            let (offset, limit) = (Int(body["offset"]?.integer ?? 0), Int(body["limit"]?.integer ?? 20))
            let page = Array(found.documents.dropFirst(offset).prefix(limit))
            if state.faults.contains(.writes) {
                state.added += 1
                let document: JSONValue = ["id": .integer(Int64(1_000_000 + state.added)), "title": "new"]
                _ = try Self.enqueue("documentAdditionOrUpdate", uid, &state) {
                    $0.indexes[uid]?.documents.append(document)
                }
            }
            return try Self.reply(
                200,
                [
                    "results": .array(page), "offset": .integer(Int64(offset)), "limit": .integer(Int64(limit)),
                    "total": .integer(Int64(found.documents.count)),
                ])
        case ("GET", _) where path.count == 4 && path[2] == "documents":
            let document = found.documents.first { Self.id($0, found.primaryKey) == path[3] }
            guard let document else {
                throw Refusal(status: 404, code: "document_not_found", message: "Document `\(path[3])` not found.")
            }
            return try Self.reply(200, document)
        default: throw Refusal(status: 404, code: "not_found", message: "no such route")
        }
    }

    private static func id(_ document: JSONValue, _ key: String?) -> String? {
        guard let value = key.flatMap({ document[$0] }) else { return nil }
        return value.string ?? value.integer.map(String.init)
    }

    private func add(
        _ request: HTTPDouble.Request, _ uid: String, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        guard request.header("content-type") == "application/x-ndjson" else {
            throw Refusal(status: 415, code: "invalid_content_type", message: "The Content-Type is invalid.")
        }
        let documents = try request.body.split(separator: 10).map { line in
            do { return try JSONDecoder().decode(JSONValue.self, from: Data(line)) } catch {
                throw Refusal(status: 400, code: "malformed_payload", message: "The `ndjson` payload is malformed.")
            }
        }
        return try Self.enqueue("documentAdditionOrUpdate", uid, &state) { state in
            var index = state.indexes[uid] ?? Index()
            if index.primaryKey == nil { index.primaryKey = "id" }
            for document in state.faults.contains(.loses) ? documents.dropLast() : documents[...] {
                guard let id = Self.id(document, index.primaryKey) else {
                    throw Refusal(status: 0, code: "missing_document_id", message: "Document doesn't have an id.")
                }
                if let place = index.documents.firstIndex(where: { Self.id($0, index.primaryKey) == id }) {
                    index.documents[place] = document
                } else {
                    index.documents.append(document)
                }
            }
            state.indexes[uid] = index
        }
    }
}

extension JSONValue {
    /// The members of an object; empty for anything else.
    fileprivate var object: [String: JSONValue] {
        guard case .object(let members) = self else { return [:] }
        return members
    }
}
