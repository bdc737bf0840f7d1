// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import ArangoDB

/// What users of ArangoDB care about, on the stand-in and, where `SALVOR_TEST_ARANGODB` names the program `arangod`, on a
/// real server with its own `arangodump` and `arangorestore`.
@Suite("ArangoDB servers", .serialized)
struct ArangoServerTests {
    private static let password = "s3cr@t pass"
    private static let kinds =
        ["stand-in"]
        + (ProcessInfo.processInfo.environment["SALVOR_TEST_ARANGODB"]?.isEmpty == false ? ["real server"] : [])

    private func server(_ kind: String) async throws -> any ArangoPlace {
        kind == "stand-in"
            ? StandIn(double: try ArangoDouble(password: Self.password)) : try await ThrowawayArango(Self.password)
    }

    @Test("a database is captured, lost, restored with its documents, and taken away again", arguments: kinds)
    func lost(_ kind: String) async throws {
        let server = try await server(kind)
        let (work, journal) = (try TemporaryDirectory("arango-work"), MemoryJournal())
        try await server.fill("app", (0..<50).map { ("\($0)", "person \($0)") })
        let adapter = try adapter(server, work)
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let sink = MemoryCapture()
        let report = try await adapter.capture(into: sink)
        #expect(report.facts["database app collection people documents"] == .count(50))
        try await server.drop("app")

        let restore = try ArangoFixture.restore(report, sink, include: ["app"], work: work.path)
        #expect(try await adapter.planRestore(restore).blockers == [])
        try await restoreWhole(adapter, restore, journal)
        #expect(try await server.names("app") == (0..<50).map { "person \($0)" }.sorted())
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try await adapter.withServer { try await $0.databases() } == ["_system"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.path) == [])
    }

    @Test("a damaged database is replaced when that is asked for, and comes back as it was", arguments: kinds)
    func replaced(_ kind: String) async throws {
        let server = try await server(kind)
        let (work, journal) = (try TemporaryDirectory("arango-work"), MemoryJournal())
        try await server.fill("app", (0..<20).map { ("\($0)", "person \($0)") })
        let adapter = try adapter(server, work, replaces: true)
        let sink = MemoryCapture()
        let report = try await adapter.capture(into: sink)
        try await server.drop("app")
        try await server.fill("app", [("3", "damaged")])

        let restore = try ArangoFixture.restore(report, sink, include: ["app"], work: work.path)
        #expect(try await adapter.planRestore(restore).replaces == ["database app"])
        try await restoreWhole(adapter, restore, journal)
        #expect(try await server.names("app").count == 20)
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try await server.names("app") == ["damaged"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.path) == [])
    }

    private func adapter(
        _ server: any ArangoPlace, _ work: TemporaryDirectory, replaces: Bool = false
    ) throws -> ArangoAdapter {
        try ArangoFixture.adapter(
            port: server.port, tool: server.tool, password: Self.password, replaces: replaces, work: work.path,
            MemoryFreezeNotes())
    }

    private func restoreWhole(
        _ adapter: ArangoAdapter, _ restore: SourceRestore, _ journal: MemoryJournal
    ) async throws {
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try await adapter.promote(restore, journal: journal)
    }
}

/// A server and its tools, whatever it is.
private protocol ArangoPlace {
    var port: Int { get }
    func tool(_ name: String) -> String
    /// Makes a database with a collection `people` of documents with key and name.
    func fill(_ database: String, _ people: [(key: String, name: String)]) async throws
    func drop(_ database: String) async throws
    /// The names in the collection, sorted.
    func names(_ database: String) async throws -> [String]
}

private struct StandIn: ArangoPlace {
    let double: ArangoDouble

    var port: Int { double.port }

    func tool(_ name: String) -> String { double.tool(name) }

    func fill(_ database: String, _ people: [(key: String, name: String)]) {
        double.put(
            database,
            [
                "people": people.map { ["_key": .string($0.key), "name": .string($0.name)] }, "_graphs": [],
                "_analyzers": [],
            ])
    }

    func drop(_ database: String) { double.put(database, nil) }

    func names(_ database: String) -> [String] {
        (double.databases[database]?["people"] ?? []).compactMap { $0["name"]?.string }.sorted()
    }
}

/// A real ArangoDB on 127.0.0.1: the program that `SALVOR_TEST_ARANGODB` names, with the tools beside it, in `bin` beside
/// its folder (as packages have them), or in PATH.
private final class ThrowawayArango: ArangoPlace, Sendable {
    let port: Int
    private let program: String
    private let password: String
    private let lifeline: FileHandle
    private let directory: TemporaryDirectory

    init(_ password: String) async throws {
        self.password = password
        program = try TestTool.find("arangod", variable: "SALVOR_TEST_ARANGODB")
        directory = try TemporaryDirectory("arango-server")
        port = try LoopbackSocket.freePorts(1)[0]
        let started = try TestTool.launch(
            program,
            [
                "--server.endpoint", "tcp://127.0.0.1:\(port)", "--server.authentication", "true",
                "--database.directory", directory("data"), "--javascript.app-path", directory("apps"), "--log.output",
                "-", "--server.statistics", "false",
            ], log: directory("log"), removing: directory.path)
        lifeline = started.lifeline
        let deadline = Date().addingTimeInterval(120)
        // A new server has a user root without a password.
        while Date() < deadline, started.process.isRunning {
            if (try? call("GET", "/_api/version", as: ""))?.status == 200 {
                let reply = try call("PATCH", "/_api/user/root", ["passwd": .string(password)], as: "")
                guard reply.status == 200 else { break }
                return
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        let log = FileManager.default.contents(atPath: directory("log")) ?? Data()
        throw ShortCommand.Failed(
            description: "arangod does not answer: \(String(decoding: log.suffix(1000), as: UTF8.self))")
    }

    func tool(_ name: String) -> String {
        let folder = URL(fileURLWithPath: program).deletingLastPathComponent()
        let places = [folder, folder.deletingLastPathComponent().appendingPathComponent("bin")]
        return places.map { $0.appendingPathComponent(name).path }.first(where: FileManager.default.isExecutableFile)
            ?? name
    }

    func fill(_ database: String, _ people: [(key: String, name: String)]) throws {
        try succeed("POST", "/_api/database", ["name": .string(database)])
        try succeed("POST", "/_db/\(database)/_api/collection", ["name": "people"])
        let documents = people.map { JSONValue.object(["_key": .string($0.key), "name": .string($0.name)]) }
        try succeed("POST", "/_db/\(database)/_api/document/people", .array(documents))
    }

    func drop(_ database: String) throws { try succeed("DELETE", "/_api/database/\(database)") }

    func names(_ database: String) throws -> [String] {
        let query: JSONValue = ["query": "FOR p IN people SORT p.name RETURN p.name", "batchSize": 1000]
        return try succeed("POST", "/_db/\(database)/_api/cursor", query)["result"]?.array?.compactMap(\.string) ?? []
    }

    @discardableResult
    private func succeed(_ method: String, _ path: String, _ body: JSONValue? = nil) throws -> JSONValue {
        let reply = try call(method, path, body, as: password)
        guard (200..<300).contains(reply.status) else {
            throw ShortCommand.Failed(description: "\(method) \(path): status \(reply.status)")
        }
        return try JSONDecoder().decode(JSONValue.self, from: Data(reply.body))
    }

    private func call(
        _ method: String, _ path: String, _ body: JSONValue? = nil, as password: String
    ) throws -> (status: Int, body: [UInt8]) {
        let login = Data("root:\(password)".utf8).base64EncodedString()
        let reply = try HTTPDouble.forward(
            HTTPDouble.Request(
                method: method, target: path,
                headers: [
                    ("Host", "127.0.0.1"), ("Authorization", "Basic \(login)"), ("Content-Type", "application/json"),
                ], body: try body.map { Array(try JSONEncoder().encode($0)) } ?? []), toPort: port)
        return (reply.status, reply.body)
    }
}
