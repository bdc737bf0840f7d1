// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// A version, of which a newer one takes what an older one wrote.
struct MeilisearchVersion: Sendable, Comparable, CustomStringConvertible {
    var major: Int
    var minor: Int
    var description: String

    init?(_ text: String) {
        let parts = text.split(separator: ".")
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        (self.major, self.minor, description) = (major, minor, text)
    }

    static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }

    static func == (left: Self, right: Self) -> Bool { (left.major, left.minor) == (right.major, right.minor) }
}

/// The calls to one Meilisearch server (API of 1.3 and later).
struct MeilisearchServer: Sendable {
    let web: WebConnection
    /// Seconds that one task may take.
    let taskTimeout: Int

    /// One task of the server's queue.
    struct ServerTask: Sendable {
        var uid: Int64
        var type: String
        var index: String?
        var status: String
        var json: JSONValue

        init?(_ json: JSONValue) {
            guard let uid = json["uid"]?.integer ?? json["taskUid"]?.integer, let status = json["status"]?.string else {
                return nil
            }
            self.uid = uid
            self.status = status
            type = json["type"]?.string ?? ""
            index = json["indexUid"]?.string
            self.json = json
        }

        var isPending: Bool { status == "enqueued" || status == "processing" }
    }

    private func path(_ index: String, _ rest: String = "") -> String {
        "/indexes/\(WebConnection.segment(index))\(rest)"
    }

    func version() async throws -> MeilisearchVersion {
        let reply = try await web.json("GET", "/version", step: "asking for the version")
        guard let version = reply["pkgVersion"]?.string.flatMap({ MeilisearchVersion($0) }) else {
            throw Failure(
                .sourceFailed, "\(web.name) does not answer as Meilisearch does",
                hint: "Point 'connection' at Meilisearch's HTTP port, usually 7700.")
        }
        return version
    }

    /// Primary keys by index; nil: none yet.
    func indexes() async throws -> [String: String?] {
        var found: [String: String?] = [:]
        var offset = 0
        while true {
            let page = try await web.json("GET", "/indexes?offset=\(offset)&limit=100", step: "listing the indexes")
            guard let results = page["results"]?.array else {
                throw Failure(.sourceFailed, "\(web.name) lists no indexes")
            }
            for entry in results {
                if let uid = entry["uid"]?.string { found[uid] = .some(entry["primaryKey"]?.string) }
            }
            offset += results.count
            if results.isEmpty || Int64(offset) >= page["total"]?.integer ?? 0 { return found }
        }
    }

    /// The settings, without keys of embedders, which are shown masked; and whether there were any.
    func settings(_ index: String) async throws -> (settings: JSONValue, hadKeys: Bool) {
        let reply = try await web.json(
            "GET", path(index, "/settings"), step: "reading the settings of index '\(index)'")
        var settings = reply.members
        var hadKeys = false
        if var embedders = settings["embedders"]?.members, !embedders.isEmpty {
            for (name, embedder) in embedders {
                var fields = embedder.members
                if fields.removeValue(forKey: "apiKey") != nil { hadKeys = true }
                embedders[name] = .object(fields)
            }
            settings["embedders"] = .object(embedders)
        }
        return (.object(settings), hadKeys)
    }

    func documentCount(_ index: String) async throws -> Int64 {
        let reply = try await web.json(
            "GET", path(index, "/stats"), step: "counting the documents of index '\(index)'")
        guard let count = reply["numberOfDocuments"]?.integer else {
            throw Failure(.sourceFailed, "\(web.name) does not tell the number of documents of index '\(index)'")
        }
        return count
    }

    /// One page of documents as the server wrote them, and how many there are in all.
    func documents(
        _ index: String, offset: Int64, limit: Int, withVectors: Bool
    ) async throws -> (lines: [[UInt8]], total: Int64) {
        let step = "reading documents of index '\(index)'"
        var body: [String: JSONValue] = ["offset": .integer(offset), "limit": .integer(Int64(limit))]
        if withVectors { body["retrieveVectors"] = true }
        let reply = try await web.send(
            "POST", path(index, "/documents/fetch"), body: Array(JSONValue.object(body).canonical.utf8), step: step)
        guard let lines = try JSONElements.split(reply.body, key: "results"), let total = reply.json?["total"]?.integer
        else { throw Failure(.sourceFailed, "\(web.name): \(step): the answer holds none") }
        return (lines, total)
    }

    /// One document; nil: there is none.
    func document(_ index: String, id: String) async throws -> JSONValue? {
        let reply = try await web.send(
            "GET", path(index, "/documents/\(WebConnection.segment(id))"), step: "reading a document of '\(index)'",
            accepting: [200, 404])
        return reply.status == 200 ? reply.json : nil
    }

    /// Records of API keys; nil when the key in use may not see them.
    func keys() async throws -> [JSONValue]? {
        var found: [JSONValue] = []
        while true {
            let reply = try await web.send(
                "GET", "/keys?offset=\(found.count)&limit=100", step: "listing the API keys",
                accepting: [200, 401, 403])
            guard reply.status == 200, let json = reply.json, let results = json["results"]?.array else { return nil }
            found += results
            if results.isEmpty || Int64(found.count) >= json["total"]?.integer ?? 0 { return found }
        }
    }

    // MARK: Tasks

    /// How many tasks wait or run.
    func pendingTasks() async throws -> Int64 {
        let reply = try await web.json(
            "GET", "/tasks?statuses=enqueued,processing&limit=1", step: "looking at the task queue")
        return reply["total"]?.integer ?? Int64(reply["results"]?.array?.count ?? 0)
    }

    /// The number of the newest task; -1 before the first.
    func newestTask() async throws -> Int64 {
        let reply = try await web.json("GET", "/tasks?limit=1", step: "looking at the task queue")
        return (reply["results"]?.array ?? []).compactMap { ServerTask($0)?.uid }.max() ?? -1
    }

    /// Tasks of those types that are newer than `task`, newest first; at most a thousand.
    func tasks(after task: Int64, types: [String]) async throws -> [ServerTask] {
        // A server refuses names of types that it does not know yet, so several are chosen here.
        let filter = types.count == 1 ? "&types=\(types[0])" : ""
        let reply = try await web.json("GET", "/tasks?limit=1000\(filter)", step: "looking at the task queue")
        return (reply["results"]?.array ?? []).compactMap { ServerTask($0) }
            .filter { $0.uid > task && types.contains($0.type) }
    }

    /// Asks for something that becomes a task; gives its number.
    func enqueue(
        _ method: String, _ path: String, _ body: [UInt8]?, contentType: String = "application/json", step: String
    ) async throws -> Int64 {
        let reply = try await web.send(
            method, path, body: body, contentType: contentType, step: step, accepting: [200, 202])
        guard let task = reply.json?["taskUid"]?.integer else {
            throw Failure(.sourceFailed, "\(web.name): \(step): the answer names no task")
        }
        return task
    }

    /// Waits until a task has ended, and throws unless it ended well.
    func finish(_ uid: Int64, step: String) async throws {
        let begun = ContinuousClock.now
        var pause = 20
        while true {
            let json = try await web.json("GET", "/tasks/\(uid)", step: "\(step): asking for task \(uid)")
            guard let task = ServerTask(json) else {
                throw Failure(.sourceFailed, "\(web.name): \(step): task \(uid) tells no status")
            }
            switch task.status {
            case "succeeded": return
            case "failed":
                let words = web.redacting(json["error"]?["message"]?.string ?? "it does not say why")
                let code = json["error"]?["code"]?.string ?? "unknown"
                throw Failure(
                    .sourceFailed, "\(web.name): \(step): task \(uid) failed: \(words) (\(code))",
                    hint: code == "no_space_left_on_device"
                        ? "Make room on the server's disk." : "Look in the server's log and at GET /tasks/\(uid).")
            case "canceled":
                throw Failure(
                    .sourceFailed, "\(web.name): \(step): task \(uid) was cancelled by somebody",
                    hint: "Find out who cancels tasks there, then try again.")
            case "enqueued", "processing": break
            default: throw Failure(.sourceFailed, "\(web.name): \(step): task \(uid) is '\(task.status)'")
            }
            guard begun.duration(to: .now) < .seconds(taskTimeout) else {
                throw Failure(
                    .sourceFailed, "\(web.name): \(step): task \(uid) is still \(task.status) after \(taskTimeout) s",
                    hint: "Raise 'task-timeout', or try again when the server has less to do.")
            }
            try await Task.sleep(for: .milliseconds(pause))
            pause = min(pause * 2, 1000)
        }
    }

    /// Asks and waits.
    func perform(
        _ method: String, _ path: String, _ body: JSONValue? = nil, step: String
    ) async throws {
        try await finish(
            try await enqueue(method, path, body.map { Array($0.canonical.utf8) }, step: step), step: step)
    }

    /// Waits until nothing waits or runs; false when that takes longer than `seconds`.
    func waitUntilIdle(seconds: Int) async throws -> Bool {
        let begun = ContinuousClock.now
        while try await pendingTasks() > 0 {
            guard begun.duration(to: .now) < .seconds(seconds) else { return false }
            try await Task.sleep(for: .milliseconds(100))
        }
        return true
    }

    /// Removes an index; succeeds when there is none.
    func remove(_ index: String) async throws {
        guard try await indexes()[index] != nil else { return }
        try await perform("DELETE", path(index), step: "removing index '\(index)'")
    }

    func create(_ index: String, primaryKey: String?) async throws {
        var body: [String: JSONValue] = ["uid": .string(index)]
        if let primaryKey { body["primaryKey"] = .string(primaryKey) }
        try await perform("POST", "/indexes", .object(body), step: "creating index '\(index)'")
    }

    func apply(_ settings: JSONValue, to index: String) async throws {
        try await perform("PATCH", path(index, "/settings"), settings, step: "setting up index '\(index)'")
    }

    /// Adds documents, one on each line.
    func add(_ lines: [UInt8], to index: String) async throws {
        let step = "adding documents to index '\(index)'"
        try await finish(
            try await enqueue(
                "POST", path(index, "/documents"), lines, contentType: "application/x-ndjson", step: step), step: step)
    }
}
