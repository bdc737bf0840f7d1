// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Qdrant

@Suite("Qdrant's real engine", .serialized)
struct QdrantEngineTests {
    @Test("a genuine snapshot comes back through the bundle, and the engine loads, counts and searches it")
    func roundTrip() async throws {
        let engine = EngineSnapshots()
        let double = try QdrantDouble(codec: engine)
        double.put("docs", QdrantFixture.collection(100))
        double.alias("live", to: "docs")
        let fixture = try QdrantFixture(double.url)
        let copy = try await fixture.capture()
        let bytes = try #require(copy.capture.bytes("snapshot-docs"))
        #expect(bytes.count > 10 << 20)
        let found = try engine.inspect(bytes)
        #expect(found["count"] == 100 && found["top"] == 99)

        double.put("docs", QdrantFixture.collection(5, seed: 4))
        try await fixture.restoreFully(try fixture.restore(copy), fixture.journal)
        #expect(double.aliases["live"] == "docs__salvor_k3f9")
        #expect(double.collections["docs__salvor_k3f9"]?.points == QdrantFixture.collection(100).points)

        // The engine itself loads most damaged snapshots without a word: the checksum is what notices.
        double.set(.flippedBit)
        await #expect { _ = try await fixture.capture() } throws: {
            ($0 as? Failure)?.summary.contains("checksum") == true
        }
        #expect(double.snapshots == [])
    }

    /// The stand-in and, where a program is named, a real server.
    private static let servers =
        ["stand-in"]
        + (ProcessInfo.processInfo.environment["SALVOR_TEST_QDRANT"]?.isEmpty == false ? ["real server"] : [])

    @Test("a server that is filled over HTTP is captured, restored and rolled back", arguments: servers)
    func overHTTP(_ kind: String) async throws {
        let double = try QdrantDouble()
        let real = kind == "stand-in" ? nil : try await ThrowawayQdrant()
        let url = real?.url ?? double.url
        let port = try #require(URL(string: url)?.port)
        try Self.call(port, "PUT", "/collections/docs", "{\"vectors\":{\"size\":2,\"distance\":\"Dot\"}}")
        let points = QdrantFixture.collection(100).points.sorted { $0.key < $1.key }.map(\.value)
        let body = String(decoding: try JSONEncoder().encode(["points": points]), as: UTF8.self)
        try Self.call(port, "PUT", "/collections/docs/points?wait=true", body)
        let fixture = try QdrantFixture(url)
        let copy = try await fixture.capture()
        #expect(copy.report.facts["collection docs points"] == .count(100))
        let restore = try fixture.restore(copy)
        try await fixture.restoreFully(restore, fixture.journal)
        let count = "{\"exact\":true}"
        #expect(try Self.call(port, "POST", "/collections/docs/points/count", count).contains("\"count\":100"))
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(try Self.call(port, "POST", "/collections/docs/points/count", count).contains("\"count\":100"))
        withExtendedLifetime((double, real)) {}
    }

    @discardableResult
    static func call(_ port: Int, _ method: String, _ target: String, _ body: String = "") throws -> String {
        let reply = try HTTPDouble.forward(
            HTTPDouble.Request(
                method: method, target: target,
                headers: [("Host", "127.0.0.1"), ("Content-Type", "application/json")], body: Array(body.utf8)),
            toPort: port)
        return String(decoding: reply.body, as: UTF8.self)
    }
}

/// A real Qdrant on 127.0.0.1: the program that `SALVOR_TEST_QDRANT` names.
final class ThrowawayQdrant: Sendable {
    private let port: Int
    private let lifeline: FileHandle
    private let directory: TemporaryDirectory

    var url: String { "http://127.0.0.1:\(port)" }

    init() async throws {
        let program = try TestTool.find("qdrant", variable: "SALVOR_TEST_QDRANT")
        directory = try TemporaryDirectory("qdrant-server")
        let ports = try LoopbackSocket.freePorts(2)
        port = ports[0]
        let variables = [
            "QDRANT__SERVICE__HOST=127.0.0.1", "QDRANT__SERVICE__HTTP_PORT=\(ports[0])",
            "QDRANT__SERVICE__GRPC_PORT=\(ports[1])", "QDRANT__STORAGE__STORAGE_PATH=\(directory("storage"))",
            "QDRANT__STORAGE__SNAPSHOTS_PATH=\(directory("snapshots"))", "QDRANT__TELEMETRY_DISABLED=true",
        ]
        let started = try TestTool.launch(
            "env", variables + [program], log: directory("log"), removing: directory.path)
        lifeline = started.lifeline
        let deadline = Date().addingTimeInterval(60)
        while Date() < deadline, started.process.isRunning {
            if (try? QdrantEngineTests.call(port, "GET", "/readyz")) != nil { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ShortCommand.Failed(description: "qdrant does not answer")
    }
}
