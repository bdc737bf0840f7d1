// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports
import Typesense

@Suite("Typesense: drills")
struct DrillTests {
    private func adapter(url: String, key: String, program: String) throws -> any SourceAdapter {
        let text = AdapterSettings.text
        return try TypesenseFactory().make(
            AdapterSettings.environment(
                "typesense",
                AdapterSettings.mapping([
                    "connection": AdapterSettings.mapping(["url": text(url), "api-key": text(key)]),
                    "restore": AdapterSettings.mapping(["scratch-program": text(program)]),
                ]), transport: LocalTransport()))
    }

    @Test("collections and aliases come back in a server of the drill's own, and are asked there")
    func whole() async throws {
        let server = try await ThrowawayTypesense.own()
        let program = try TestTool.find("typesense-server", variable: "SALVOR_TEST_TYPESENSE")
        let schema = """
            {"name":"books_1","fields":[{"name":"title","type":"string"},{"name":"pages","type":"int32"}]}
            """
        #expect(try server.call("POST", "/collections", schema).0 == 201)
        let lines = (1...150).map { "{\"id\":\"\($0)\",\"title\":\"book \($0) ü\",\"pages\":\($0)}" }
        try server.call(
            "POST", "/collections/books_1/documents/import?action=create", lines.joined(separator: "\n"))
        try server.call("PUT", "/aliases/books", "{\"collection_name\":\"books_1\"}")
        let captured = try await CapturedSource(try adapter(url: server.url, key: server.key, program: program))

        // As the bundle's owner would have it whose server is gone: nobody listens there.
        let gone = try adapter(url: "http://127.0.0.1:9", key: "other", program: program)
        let restore = captured.restore()
        let (facts, key) = try await DrilledRestore.of(restore, gone) { copy in
            let places = copy.places(of: restore)
            let (url, key) = (try #require(places["SALVOR_DRILL_URL"]), try #require(places["SALVOR_DRILL_KEY"]))
            #expect(url != server.url && key != server.key)
            let found = try await StockProgram.run(
                "curl", ["-sf", "-H", "X-TYPESENSE-API-KEY: \(key)", "\(url)/collections/books/documents/7"])
            #expect(found.text.contains("book 7 ü"), "\(found.text)\(found.errors)")
            let keyless = try await StockProgram.run("curl", ["-sf", "\(url)/collections"])
            #expect(keyless.status != 0)
            // Every user of the host can read arguments.
            let port = url.split(separator: ":").last ?? ""
            let running = try DrilledRestore.running(below: "--api-port=\(port)")
            #expect(running.count == 1 && !running[0].contains(key), "\(running)")
            return key
        }
        #expect(key.count > 20)
        #expect(facts.contains { $0.name == "collection books_1 documents" && $0.recorded == .count(150) })
        #expect(facts.allSatisfy { $0.isEqual }, "\(facts.filter { !$0.isEqual })")

        let missing = try adapter(url: server.url, key: server.key, program: "/nowhere/typesense-server")
        let failure = await thrownFailure { _ = try await DrilledRestore.of(restore, missing) { _ in } }
        #expect(failure?.code == .programMissing, "\(failure as Any)")
        withExtendedLifetime(server) {}
    }
}
