// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// Search engines, a vector store and a graph database in one bundle, put back all at once.
@Suite("Search indexes")
struct SearchIndexTests {
    private static func points(_ count: Int) -> QdrantDouble.Collection {
        var points: [Int64: JSONValue] = [:]
        for id in 0..<count {
            points[Int64(id)] = [
                "id": .integer(Int64(id)), "vector": [.number(Double(id) + 0.5), .number(1.5)], "payload": [:],
            ]
        }
        return QdrantDouble.Collection(
            config: ["params": ["vectors": ["size": 2, "distance": "Dot"], "shard_number": 1]], points: points)
    }

    private static func documents(_ count: Int) -> MeilisearchDouble.Index {
        MeilisearchDouble.Index(primaryKey: "id", documents: (0..<count).map { ["id": .integer(Int64($0))] })
    }

    @Test("one bundle holds them all; indexes are rebuilt together, and a probe that fails puts all of them back")
    func together() async throws {
        let (qdrant, meilisearch) = (try QdrantDouble(key: "q-key"), try MeilisearchDouble(key: "m-key"))
        let (typesense, arango) = (try await ThrowawayTypesense.shared(), try ArangoDouble())
        qdrant.put("docs", Self.points(40))
        meilisearch.put("movies", Self.documents(30))
        arango.put("app", ["people": [["_key": "1"]], "_graphs": []])
        try typesense.call(
            "POST", "/collections", "{\"name\":\"books\",\"fields\":[{\"name\":\"title\",\"type\":\"string\"}]}")
        try typesense.call("POST", "/collections/books/documents", "{\"id\":\"1\",\"title\":\"one\"}")
        let site = try await Site.make(
            sources: """
                - name: vectors
                  adapter: qdrant
                  connection: {url: "\(qdrant.url)", api-key: env:QDRANT_KEY}
                  index: true
                - name: search
                  adapter: meilisearch
                  connection: {url: "\(meilisearch.url)", api-key: env:MEILI_KEY}
                  index: true
                - name: books
                  adapter: typesense
                  connection: {url: "\(typesense.url)", api-key: env:TYPESENSE_KEY}
                  index: true
                - name: graph
                  adapter: arangodb
                  connection: {port: \(arango.port), user: root, password: env:ARANGO_PASSWORD}
                  work-directory: $DIR
                  programs: {arangodump: "\(arango.tool("arangodump"))", arangorestore: "\(arango.tool("arangorestore"))"}
                """,
            environment: [
                "QDRANT_KEY": "q-key", "MEILI_KEY": "m-key", "TYPESENSE_KEY": typesense.key,
                "ARANGO_PASSWORD": "s3cr@t pass",
            ])
        let output = try await site.ok(["backup", "-v"])
        #expect(try await site.bundles().count == 1)
        try await site.ok(["validate-backup", "latest"])
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.output.contains("version 1.15.4"), "\(doctor.output)")
        for text in [output, doctor.output, doctor.errors] {
            #expect(!text.contains("q-key") && !text.contains("m-key"))
        }

        qdrant.put("docs", Self.points(3))
        meilisearch.put("movies", Self.documents(2))
        try typesense.call("DELETE", "/collections/books/documents/1")
        let rebuild = ["restore", "latest-good", "--indexes", "--yes", "--no-safety-bundle", "--probe"]
        let failed = try await site.owner.run(rebuild + ["false"])
        #expect(failed.status == 1 && failed.errors.contains("everything was rolled back"), "\(failed.errors)")
        #expect(qdrant.collections[qdrant.aliases["docs"] ?? "docs"] == Self.points(3))
        #expect(meilisearch.indexes == ["movies": Self.documents(2)])
        #expect(try typesense.call("GET", "/collections/books").1.contains("\"num_documents\":0"))

        try await site.ok(rebuild + ["true"], as: site.owner)
        #expect(qdrant.collections[qdrant.aliases["docs"] ?? "docs"] == Self.points(40))
        #expect(meilisearch.indexes["movies"] == Self.documents(30))
        #expect(try typesense.call("GET", "/collections/books").1.contains("\"num_documents\":1"))
        try await site.ok(["settle", try #require(try await site.openRestores().first), "--yes"])
        #expect(meilisearch.indexes.count == 1)

        // Source by source, and a database that is gone.
        arango.put("app", nil)
        try await site.ok(
            ["restore", "latest", "--source", "graph", "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(arango.databases["app"] == ["people": [["_key": "1"]], "_graphs": []])
        let folder = site.folder("out")
        try await site.ok(["restore", "latest", "--to-directory", folder], as: site.owner)
        let jsonl = try String(contentsOfFile: "\(folder)/books/books.jsonl", encoding: .utf8)
        #expect(jsonl == "{\"id\":\"1\",\"title\":\"one\"}")
    }
}
