// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Redis

@Suite("Redis in containers", .serialized)
struct ContainerTests {
    @Test(
        "is captured, restored through a scratch server beside it, and rolled back",
        arguments: ThrowawayEngine.Kind.allCases)
    func roundTrip(_ kind: ThrowawayEngine.Kind) async throws {
        let engine = try await ThrowawayEngine.start(kind)
        try await engine.container("cache", .redis)
        let transport = engine.transport("cache")
        func cli(_ input: String) async throws -> String {
            let program = Program("redis-cli", ["-p", "7100"], environment: ["REDISCLI_AUTH": "geheim"])
            return String(decoding: try await transport.output(of: program, input: Array(input.utf8)), as: UTF8.self)
        }
        _ = try await transport.output(
            of: Program(
                "redis-server", ["-"]),
            input: Array("port 7100\nbind 127.0.0.1\ndaemonize yes\ndir /srv\nrequirepass geheim\nsave \"\"\n".utf8))
        let lines = (0..<2000).map { "SET key\($0) value\($0)" } + ["SELECT 3", "HSET h a 1 b 2", "EXPIRE h 86400"]
        _ = try await cli(lines.joined(separator: "\n") + "\n")

        let adapter = try adapter(transport)
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let sink = MemoryCapture()
        let report = try await adapter.capture(into: sink)
        _ = try await cli("DEL key1 key2\nSET intruder 1\nSELECT 3\nDEL h\n")

        let (scratch, kept) = (try TemporaryDirectory("scratch"), try TemporaryDirectory("kept"))
        let bundle = try #require(BundleID("20261121T020003Z-nightly-k3f9qz"))
        let restore = SourceRestore(
            restoreID: "k3f9", bundle: bundle,
            contents: Contents.Source(
                name: "cache", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                notices: report.notices, position: report.position),
            streams: sink.streams, scratchDirectory: scratch.path, keepDirectory: kept.path)
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        #expect(facts.filter { !$0.isEqual } == [])
        try await adapter.promote(restore, journal: journal)
        #expect(try await cli("DBSIZE\nGET key1\nSELECT 3\nHGET h b\n") == "2000\nvalue1\nOK\n2\n")

        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try await cli("DBSIZE\nGET intruder\nSELECT 3\nEXISTS h\n") == "1999\n1\nOK\n0\n")
        let left = try await transport.output(of: Program("sh", ["-c", "ls -d /tmp/salvor-* 2>/dev/null || :"]))
        #expect(left.isEmpty, "scratch folders are gone: \(String(decoding: left, as: UTF8.self))")
        let servers = try await transport.output(
            of: Program("sh", ["-c", "cat /proc/[0-9]*/comm | grep -c '^redis-server' || :"]))
        #expect(String(decoding: servers, as: UTF8.self) == "1\n")
    }

    private func adapter(_ transport: any Transport) throws -> any SourceAdapter {
        let node = RedisFixture.mapping([
            (
                "connection",
                RedisFixture.mapping(
                    [("host", "127.0.0.1"), ("port", "7100"), ("password", "geheim")].map {
                        ($0.0, RedisFixture.scalar($0.1))
                    })
            ), ("timeout", RedisFixture.scalar("20")),
        ])
        return try RedisAdapterFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "cache", adapter: "redis", transport: .local, settings: node, mark: RedisFixture.mark),
                transport: transport, secrets: LiteralSecrets(), clock: SystemClock()))
    }
}
