// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// A version, of which a newer one takes what an older one wrote.
struct TypesenseVersion: Sendable, Comparable, CustomStringConvertible {
    private var parts: [Int]
    var description: String

    init?(_ text: String) {
        let numbers = text.split(separator: ".").prefix(2).map { Int($0) }
        guard !numbers.isEmpty, numbers.allSatisfy({ $0 != nil }) else { return nil }
        (parts, description) = (numbers.compactMap { $0 } + [0], text)
    }

    static func < (left: Self, right: Self) -> Bool { left.parts.lexicographicallyPrecedes(right.parts) }

    static func == (left: Self, right: Self) -> Bool { left.parts == right.parts }
}

/// The calls to one Typesense server (API of 0.24 to 29).
struct TypesenseServer: Sendable {
    let web: WebConnection

    private func path(_ collection: String, _ rest: String = "") -> String {
        "/collections/\(WebConnection.segment(collection))\(rest)"
    }

    func version() async throws -> TypesenseVersion {
        let reply = try await web.json("GET", "/debug", step: "asking for the version")
        guard let version = reply["version"]?.string.flatMap({ TypesenseVersion($0) }) else {
            throw Failure(
                .sourceFailed, "\(web.name) does not answer as Typesense does",
                hint: "Point 'connection' at Typesense's API port, usually 8108.")
        }
        return version
    }

    /// Whether the server is well, by its own account.
    func isHealthy() async throws -> Bool {
        try await web.json("GET", "/health", step: "asking for its health", accepting: [200, 503])["ok"]?.bool == true
    }

    /// Schemas by collection.
    func collections() async throws -> [String: JSONValue] {
        let reply = try await web.json("GET", "/collections", step: "listing the collections")
        var found: [String: JSONValue] = [:]
        for entry in reply.array ?? [] {
            if let name = entry["name"]?.string { found[name] = entry }
        }
        return found
    }

    func aliases() async throws -> [String: String] {
        let reply = try await web.json("GET", "/aliases", step: "listing the aliases")
        var found: [String: String] = [:]
        for entry in reply["aliases"]?.array ?? [] {
            if let alias = entry["name"]?.string { found[alias] = entry["collection_name"]?.string }
        }
        return found
    }

    func count(_ collection: String) async throws -> Int64 {
        let reply = try await web.json(
            "GET", path(collection), step: "counting the documents of collection '\(collection)'")
        guard let count = reply["num_documents"]?.integer else {
            throw Failure(
                .sourceFailed, "\(web.name) does not tell the number of documents of collection '\(collection)'")
        }
        return count
    }

    /// `synonyms` or `overrides` of a collection; nil where the server keeps them elsewhere (30 and later).
    func rules(_ kind: String, of collection: String) async throws -> [JSONValue]? {
        let reply = try await web.send(
            "GET", path(collection, "/\(kind)"), step: "reading the \(kind) of collection '\(collection)'",
            accepting: [200, 404])
        return reply.status == 200 ? reply.json?[kind]?.array : nil
    }

    func put(_ rule: JSONValue, _ kind: String, into collection: String) async throws {
        var members = rule.members
        guard let id = members.removeValue(forKey: "id")?.string else { return }
        _ = try await web.json(
            "PUT", path(collection, "/\(kind)/\(WebConnection.segment(id))"), .object(members),
            step: "writing the \(kind) of collection '\(collection)'")
    }

    /// Descriptions of API keys, without their text; nil when the key in use may not list them.
    func keys() async throws -> [JSONValue]? {
        let reply = try await web.send("GET", "/keys", step: "listing the API keys", accepting: [200, 401, 403])
        return reply.status == 200 ? reply.json?["keys"]?.array : nil
    }

    /// Gives all documents, one on each line, to `consume`.
    func export(
        _ collection: String, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> UInt64 {
        try await web.download(
            path(collection, "/documents/export"), step: "reading the documents of collection '\(collection)'", consume)
    }

    /// Adds the documents that `produce` writes, one on each line, and throws unless every one was taken.
    ///
    /// - Returns: how many there were.
    func add(
        to collection: String, length: UInt64?,
        _ produce: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws -> Int64 {
        let step = "adding documents to collection '\(collection)'"
        let answers = ImportAnswers()
        _ = try await web.upload(
            "POST", path(collection, "/documents/import?action=create"), contentType: "text/plain", length: length,
            step: step, consume: { answers.take($0) }, produce)
        answers.finish()
        if let refusal = answers.refusal {
            throw Failure(
                .restoreFailed, "\(web.name): \(step): a document was refused: \(web.redacting(refusal))",
                hint: "The live collections were not touched; look whether the schema fits.")
        }
        return answers.taken
    }

    /// Makes a collection with the schema of another.
    func create(_ collection: String, like schema: JSONValue) async throws {
        var members = schema.members
        for key in ["num_documents", "created_at", "num_memory_shards"] { members[key] = nil }
        members["name"] = .string(collection)
        // What is empty is the default, and not every version takes it back.
        members = members.filter { $0.value != "" && $0.value != .null }
        _ = try await web.json(
            "POST", "/collections", .object(members), step: "creating collection '\(collection)'", accepting: [201])
    }

    /// Removes a collection, never one that an alias of that name stands for; succeeds when there is none.
    func remove(_ collection: String) async throws {
        guard try await collections()[collection] != nil else { return }
        _ = try await web.send("DELETE", path(collection), step: "removing collection '\(collection)'")
    }

    func point(_ alias: String, to collection: String) async throws {
        _ = try await web.json(
            "PUT", "/aliases/\(WebConnection.segment(alias))", ["collection_name": .string(collection)],
            step: "switching alias '\(alias)'")
    }

    func drop(_ alias: String) async throws {
        _ = try await web.send(
            "DELETE", "/aliases/\(WebConnection.segment(alias))", step: "removing alias '\(alias)'",
            accepting: [200, 404])
    }
}
