// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Cassandra

/// The same with a real server, where `SALVOR_TEST_CASSANDRA_HOME` names an unpacked release.
@Suite(.serialized, .enabled(if: ThrowawayCassandra.home != nil)) struct RealServerTests {
    private func adapter(_ server: ThrowawayCassandra) throws -> CassandraAdapter {
        let node = RingFixture.mapping([
            ("name", RingFixture.scalar("node1")), ("host", RingFixture.scalar("127.0.0.1")),
            ("jmx-port", RingFixture.scalar(String(server.jmxPort))),
            ("cql-port", RingFixture.scalar(String(server.cqlPort))),
            ("cassandra-yaml", RingFixture.scalar(server.configuration)),
        ])
        let commands = ["nodetool", "cqlsh", "sstableloader"].map { ($0, RingFixture.scalar(server.tool($0))) }
        let settings = RingFixture.mapping([
            ("nodes", .sequence([node], RingFixture.mark)), ("commands", RingFixture.mapping(commands)),
            ("count-rows", RingFixture.list(["app.*"])),
        ])
        let source = SourceSettings(
            name: "ring", adapter: "cassandra", transport: .local, settings: settings, mark: RingFixture.mark)
        return try CassandraAdapter(
            CassandraSettings(settings, source: "ring"),
            AdapterEnvironment(
                source: source, transport: LocalTransport(), secrets: NoSecrets(), clock: SystemClock()))
    }

    @Test("captured, lost, restored in place, rolled back, restored under another name")
    func roundTrip() async throws {
        let server = try ThrowawayCassandra(home: try #require(ThrowawayCassandra.home))
        try server.cql(
            """
            CREATE KEYSPACE app WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
            CREATE TABLE app.users (id int PRIMARY KEY, name text, old text);
            """)
        try server.cql((0..<50).map { "INSERT INTO app.users (id, name, old) VALUES (\($0), 'n', 'x');" }.joined())
        try server.cql("ALTER TABLE app.users DROP old;")
        let adapter = try adapter(server)
        #expect(await adapter.preflight().allSatisfy { $0.state != .failed })
        let sink = MemoryCapture()
        let report = try await adapter.capture(into: sink)
        #expect(report.facts["app.users rows"] == .count(50))
        #expect(try !server.snapshots().contains("salvor_"))
        try server.cql("TRUNCATE app.users; INSERT INTO app.users (id, name) VALUES (1000, 'new');")
        let bundle = try #require(BundleID("20261121T020003Z-nightly-k3f9qz"))
        func restore(_ id: String, rename: String? = nil) -> SourceRestore {
            SourceRestore(
                restoreID: id, bundle: bundle,
                contents: Contents.Source(
                    name: "ring", engine: report.engine, facts: report.facts, restoreData: report.restoreData,
                    notices: report.notices, position: report.position),
                streams: sink.streams, rename: rename, scratchDirectory: "/nonexistent")
        }
        let journal = MemoryJournal()
        try await adapter.stage(restore("one"), journal: journal)
        #expect(try await adapter.verify(restore("one"), journal: journal).allSatisfy(\.isEqual))
        #expect(try server.rows("app.users") == 1)
        try await adapter.promote(restore("one"), journal: journal)
        #expect(try server.rows("app.users") == 50)
        try await adapter.rollBack(restore("one"), journal: journal)
        #expect(try server.rows("app.users") == 1)
        let other = MemoryJournal()
        try await adapter.stage(restore("two", rename: "app_before"), journal: other)
        #expect(try await adapter.verify(restore("two", rename: "app_before"), journal: other).allSatisfy(\.isEqual))
        try await adapter.promote(restore("two", rename: "app_before"), journal: other)
        #expect(try server.rows("app_before.users") == 50 && server.rows("app.users") == 1)
    }
}
