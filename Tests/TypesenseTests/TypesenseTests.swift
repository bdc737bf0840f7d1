// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Typesense

@Suite("Typesense", .serialized)
struct TypesenseTests {
    private let server: ThrowawayTypesense
    private let scratch: TemporaryDirectory
    private let journal = MemoryJournal()

    init() async throws {
        server = try await ThrowawayTypesense.shared()
        scratch = try TemporaryDirectory("typesense-restore")
        // One server for all tests, emptied for each.
        for alias in try names("/aliases", "aliases") { try server.call("DELETE", "/aliases/\(alias)") }
        for name in try names("/collections", nil) { try server.call("DELETE", "/collections/\(name)") }
        try fill("books", count: 300)
        try server.call(
            "PUT", "/collections/books/synonyms/coats", "{\"synonyms\":[\"coat\",\"jacket\"]}")
        try server.call(
            "PUT", "/collections/books/overrides/first",
            "{\"rule\":{\"query\":\"x\",\"match\":\"exact\"},\"includes\":[{\"id\":\"1\",\"position\":1}]}")
    }

    private struct GivenSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "none") }
            return text
        }
    }

    private func names(_ path: String, _ key: String?) throws -> [String] {
        let json = try JSONDecoder().decode(JSONValue.self, from: Data(try server.call("GET", path).1.utf8))
        return ((key.map { json[$0] } ?? json)?.array ?? []).compactMap { $0["name"]?.string }
    }

    private func fill(_ name: String, count: Int, title: String = "book") throws {
        let schema = """
            {"name":"\(name)","default_sorting_field":"pages","fields":[{"name":"title","type":"string"},
             {"name":"pages","type":"int32"},{"name":"tags","type":"string[]","facet":true,"optional":true}]}
            """
        #expect(try server.call("POST", "/collections", schema).0 == 201)
        let lines = (0..<count).map {
            "{\"id\":\"\($0)\",\"title\":\"\(title) \($0) ü\",\"pages\":\($0),\"tags\":[\"a\"],\"extra\":{\"n\":1.25}}"
        }
        _ = try server.call(
            "POST", "/collections/\(name)/documents/import?action=create", lines.joined(separator: "\n"))
    }

    /// The title of document 1, and how many there are, as clients see them.
    private func seen(_ name: String) throws -> String {
        let count = try server.call("GET", "/collections/\(name)").1
        let json = try JSONDecoder().decode(JSONValue.self, from: Data(count.utf8))
        let first = try server.call("GET", "/collections/\(name)/documents/1").1
        let document = try JSONDecoder().decode(JSONValue.self, from: Data(first.utf8))
        return "\(json["num_documents"]?.integer ?? -1) \(document["title"]?.string ?? "none")"
    }

    private func adapter(_ url: String? = nil, key: String? = nil, extra: [(String, String)] = []) throws
        -> TypesenseAdapter
    {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
            .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
        }
        func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
        let connection = mapping([("url", scalar(url ?? server.url)), ("api-key", scalar(key ?? server.key))])
        let node = mapping([("connection", connection)] + extra.map { ($0.0, scalar($0.1)) })
        let made = try TypesenseFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "search", adapter: "typesense", transport: .local, settings: node, mark: mark),
                transport: LocalTransport(), secrets: GivenSecrets(), clock: SystemClock()))
        guard let adapter = made as? TypesenseAdapter else { throw Failure(.internalError, "no adapter") }
        return adapter
    }

    private struct Copy {
        var report: CaptureReport
        var capture: MemoryCapture
    }

    private func capture(_ url: String? = nil) async throws -> Copy {
        let sink = MemoryCapture()
        return Copy(report: try await adapter(url).capture(into: sink), capture: sink)
    }

    private func restore(_ copy: Copy, include: [String] = []) throws -> SourceRestore {
        let bundle = try #require(BundleID("20261121T020003Z-nightly-k3f9qz"))
        return SourceRestore(
            restoreID: "k3f9", bundle: bundle,
            contents: Contents.Source(
                name: "search", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: nil),
            streams: copy.capture.streams, include: include, scratchDirectory: scratch.path)
    }

    private func restoreFully(_ restore: SourceRestore, _ journal: any RestoreJournal) async throws {
        let phase = await journal.recorded["phase"]?.string
        if phase != "promoting", phase != "promoted" {
            try await adapter().stage(restore, journal: journal)
            let facts = try await adapter().verify(restore, journal: journal)
            #expect(!facts.isEmpty && facts.allSatisfy(\.isEqual), "\(facts.filter { !$0.isEqual })")
        }
        try await adapter().promote(restore, journal: journal)
    }

    @Test("documents, schema, rules and aliases are in the bundle")
    func captures() async throws {
        try server.call("PUT", "/aliases/live", "{\"collection_name\":\"books\"}")
        let copy = try await capture()
        #expect(copy.report.engine.hasPrefix("Typesense "))
        #expect(copy.report.facts["collection books documents"] == .count(300))
        #expect(copy.report.facts["collection books synonyms"] == .count(1))
        #expect(copy.report.facts["collection books overrides"] == .count(1))
        #expect(copy.report.facts["collection books fields"] == .text("pages:int32 tags:string[] title:string"))
        #expect(copy.report.restoreData["aliases"]?["live"] == "books")
        #expect((copy.capture.bytes("documents-books") ?? []).split(separator: 10).count == 300)
        #expect(try await adapter().preflight().allSatisfy { $0.state == .ok })
    }

    @Test("an alias is switched to the restored collection and back; documents, rules and schema are the same")
    func alias() async throws {
        try server.call("PUT", "/aliases/live", "{\"collection_name\":\"books\"}")
        let copy = try await capture()
        try server.call("DELETE", "/collections/books/documents?filter_by=pages:>10")
        let restore = try restore(copy)
        #expect(try await adapter().planRestore(restore).blockers == [])
        try await restoreFully(restore, journal)
        #expect(try seen("live") == "300 book 1 ü")
        #expect(try seen("books") == "11 book 1 ü")
        #expect(try server.call("GET", "/collections/live/synonyms").1.contains("jacket"))
        #expect(try server.call("GET", "/collections/live/overrides/first").0 == 200)
        try await adapter().rollBack(restore.place, journal: journal)
        #expect(try seen("live") == "11 book 1 ü")
        #expect(try names("/collections", nil) == ["books"])
    }

    @Test("a collection without an alias is copied aside and becomes one, and back")
    func plain() async throws {
        let copy = try await capture()
        try server.call("DELETE", "/collections/books")
        try fill("books", count: 7, title: "wrong")
        let restore = try restore(copy)
        try await restoreFully(restore, journal)
        #expect(try seen("books") == "300 book 1 ü")
        #expect(try seen("books__salvor_k3f9_old") == "7 wrong 1 ü")
        try await adapter().rollBack(restore.place, journal: journal)
        #expect(try seen("books") == "7 wrong 1 ü")
        #expect(try names("/collections", nil) == ["books__salvor_k3f9_old"])
    }

    @Test("on an empty server all is there again, and settling leaves nothing else")
    func disaster() async throws {
        let copy = try await capture()
        try server.call("DELETE", "/collections/books")
        let restore = try restore(copy)
        try await restoreFully(restore, journal)
        #expect(try seen("books") == "300 book 1 ü")
        try await adapter().settle(restore.place, journal: journal)
        #expect(try names("/collections", nil) == ["books__salvor_k3f9"])
    }

    @Test("killed at any record, a restore is finished or undone by the next attempt", arguments: [0, 1, 2, 3, 4, 5])
    func crash(_ records: Int) async throws {
        let copy = try await capture()
        for finishes in [true, false] {
            for alias in try names("/aliases", "aliases") { try server.call("DELETE", "/aliases/\(alias)") }
            for name in try names("/collections", nil) { try server.call("DELETE", "/collections/\(name)") }
            try fill("books", count: 7, title: "wrong")
            let restore = try restore(copy)
            let dying = MemoryJournal(failingAfter: records)
            do { try await restoreFully(restore, dying) } catch is MemoryJournal.Killed {}
            let next = MemoryJournal(await dying.recorded)
            if finishes {
                try await restoreFully(restore, next)
                #expect(try seen("books") == "300 book 1 ü")
            } else {
                try await adapter().rollBack(restore.place, journal: next)
                #expect(try seen("books") == "7 wrong 1 ü")
                #expect(try !names("/collections", nil).contains("books__salvor_k3f9"))
            }
        }
    }

    @Test("an export that ends early, a refused document and a wrong key fail with what happened")
    func faults() async throws {
        let port = server.port
        let cut = try HTTPDouble { request in
            let reply = try HTTPDouble.forward(request, toPort: port)
            guard request.path.hasSuffix("/export") else { return .response(reply.status, body: reply.body) }
            let lines = reply.body.split(separator: 10).dropLast(5).joined(separator: [10])
            return .response(200, body: Array(lines))
        }
        await #expect { _ = try await capture(cut.url) } throws: {
            ($0 as? Failure)?.summary.contains("has 300 documents and gave 295") == true
        }
        let broken = try HTTPDouble { request in
            let reply = try HTTPDouble.forward(request, toPort: port)
            guard request.path.hasSuffix("/export") else { return .response(reply.status, body: reply.body) }
            return .raw(
                Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}\r\n\r\n".utf8), reset: false)
        }
        await #expect(throws: Failure.self) { _ = try await capture(broken.url) }
        #expect(try await adapter(key: "wrong").preflight().first?.code == Failure.Code.sourceDenied.text)

        let copy = try await capture()
        var bytes = try #require(copy.capture.bytes("documents-books"))
        bytes.replaceSubrange(0..<(bytes.firstIndex(of: 10) ?? 0), with: Array("{\"id\":\"0\",\"pages\":\"x\"}".utf8))
        copy.capture.replace(MemoryStream(name: "documents-books", kind: .raw, fileName: "b.jsonl", bytes: bytes))
        let restore = try restore(copy)
        await #expect {
            try await adapter().stage(restore, journal: journal)
        } throws: { ($0 as? Failure)?.summary.contains("a document was refused") == true }
        #expect(try seen("books") == "300 book 1 ü")
        try await adapter().abandon(restore.place, journal: journal)
        #expect(try names("/collections", nil) == ["books"])
    }

    @Test("a copy of a newer server is refused before anything is made")
    func versions() async throws {
        var copy = try await capture()
        guard case .object(var data) = copy.report.restoreData else { return }
        data["version"] = "99.1"
        copy.report.restoreData = .object(data)
        let restore = try restore(copy)
        #expect(try await adapter().planRestore(restore).blockers.contains { $0.contains("99.1") })
        await #expect(throws: Failure.self) { try await adapter().stage(restore, journal: journal) }
        #expect(try names("/collections", nil) == ["books"])
    }
}
