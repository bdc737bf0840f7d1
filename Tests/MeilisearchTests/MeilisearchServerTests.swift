// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Meilisearch

/// What is done over HTTP alone, on the stand-in and, where `SALVOR_TEST_MEILISEARCH` names a program, on a real server.
@Suite("Meilisearch over HTTP", .serialized)
struct MeilisearchServerTests {
    private static let kinds =
        ["stand-in"]
        + (ProcessInfo.processInfo.environment["SALVOR_TEST_MEILISEARCH"]?.isEmpty == false ? ["real server"] : [])

    @Test("an index is captured, damaged, restored and rolled back", arguments: kinds, [false, true])
    func roundTrip(_ kind: String, usesDumps: Bool) async throws {
        let double = try MeilisearchDouble(key: "master-key-of-tests")
        let real = kind == "stand-in" ? nil : try await ThrowawayMeilisearch(key: "master-key-of-tests")
        let url = real?.url ?? double.url
        var fixture = try MeilisearchFixture(url, key: "master-key-of-tests")
        if usesDumps { fixture.extra = [("dump-directory", real?.dumps ?? double.dumps.path)] }
        let plain = try MeilisearchFixture(url, key: "master-key-of-tests")
        let maker = try #require(try plain.adapter() as? MeilisearchAdapter)
        let lines = (0..<50).map { "{\"id\":\($0),\"title\":\"film \($0)\",\"rating\":\($0).5}\n" }.joined()
        try await maker.withServer { server in
            try await server.create("movies", primaryKey: "id")
            try await server.apply(["filterableAttributes": ["rating"], "stopWords": ["the"]], to: "movies")
            try await server.add(Array(lines.utf8), to: "movies")
        }
        let copy = try await fixture.capture()
        #expect(copy.report.facts["index movies documents"] == .count(50))
        try await maker.withServer { try await $0.add(Array("{\"id\":3,\"title\":\"damaged\"}\n".utf8), to: "movies") }

        func title() async throws -> String? {
            try await maker.withServer { try await $0.document("movies", id: "3")?["title"]?.string }
        }
        let restore = try fixture.restore(copy)
        try await fixture.restoreFully(restore, fixture.journal)
        #expect(try await title() == "film 3")
        let settings = try await maker.withServer { try await $0.settings("movies").settings }
        #expect(settings["filterableAttributes"] == ["rating"] && settings["stopWords"] == ["the"])
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(try await title() == "damaged")
        #expect(try await maker.withServer { try await Array($0.indexes().keys) } == ["movies"])
        withExtendedLifetime((double, real)) {}
    }
}

/// A real Meilisearch on 127.0.0.1: the program that `SALVOR_TEST_MEILISEARCH` names.
private final class ThrowawayMeilisearch: Sendable {
    private let port: Int
    private let lifeline: FileHandle
    private let directory: TemporaryDirectory

    var url: String { "http://127.0.0.1:\(port)" }
    var dumps: String { directory("dumps") }

    init(key: String) async throws {
        let program = try TestTool.find("meilisearch", variable: "SALVOR_TEST_MEILISEARCH")
        directory = try TemporaryDirectory("meilisearch-server")
        port = try LoopbackSocket.freePorts(1)[0]
        let started = try TestTool.launch(
            program,
            [
                "--http-addr", "127.0.0.1:\(port)", "--master-key", key, "--db-path", directory("data"), "--dump-dir",
                directory("dumps"), "--snapshot-dir", directory("snapshots"), "--no-analytics",
            ], log: directory("log"), removing: directory.path)
        lifeline = started.lifeline
        let request = HTTPDouble.Request(method: "GET", target: "/health", headers: [("Host", "127.0.0.1")], body: [])
        let deadline = Date().addingTimeInterval(60)
        while Date() < deadline, started.process.isRunning {
            if (try? HTTPDouble.forward(request, toPort: port))?.status == 200 { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ShortCommand.Failed(description: "meilisearch does not answer")
    }
}
