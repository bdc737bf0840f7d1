// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Cassandra

@Suite struct JanusGraphTests {
    private static let tables = [
        "edgestore", "graphindex", "system_properties", "systemlog", "txlog", "janusgraph_ids",
    ]

    /// A ring with a graph and a configuration graph.
    private func fixture() throws -> RingFixture {
        var fixture = try RingFixture { $0.hasApplication = false }
        fixture.kind = "janusgraph"
        for keyspace in ["janusgraph", "configurationmanagementgraph"] {
            try fixture.ring.cql("CREATE KEYSPACE \(keyspace) WITH replication = {'replication_factor': '1'};")
            for table in Self.tables {
                try fixture.ring.cql(
                    "CREATE TABLE \(keyspace).\(table) (id text PRIMARY KEY, key blob, column1 blob, value blob);")
            }
        }
        try fixture.ring.insert("janusgraph.edgestore", from: 0, count: 25)
        try fixture.ring.insert("janusgraph.janusgraph_ids", from: 0, count: 3)
        try fixture.ring.admin(
            "blobs", "janusgraph", "system_properties",
            Self.blobs([
                ("system-registration.0a000001-web1.startup-time", "x"), ("index.search.backend", "elasticsearch"),
                ("index.search.elasticsearch.http.auth.basic.password", "hush"), ("graph.storage-version", "2"),
            ]))
        return fixture
    }

    private static func blobs(_ pairs: [(String, String)]) -> String {
        func hexadecimal(_ text: String) -> String {
            "0x" + text.utf8.map { String($0, radix: 16) }.map { $0.count == 1 ? "0" + $0 : $0 }.joined()
        }
        let rows = pairs.map { #"{"column1": "\#(hexadecimal($0.0))", "value": "\#(hexadecimal($0.1))"}"# }
        return "[\(rows.joined(separator: ", "))]"
    }

    private static let more: [(String, ConfigNode)] = [
        ("configuration-graph", RingFixture.scalar("configurationmanagementgraph")),
        ("index-backend", RingFixture.scalar("Elasticsearch at es1:9200")),
    ]

    @Test("id blocks handed out while the rest is copied are in the copy: their table is taken last")
    func idsLast() async throws {
        let fixture = try fixture()
        // Between the first snapshot and the one of the ids.
        try fixture.ring.fault("writes-meanwhile", #"["janusgraph", "janusgraph_ids"]"#)
        let copy = try await fixture.capture(nil, fixture.adapter(nil, Self.more))
        let calls = try fixture.ring.calls.filter { $0.contains(" snapshot ") }
        #expect(calls.count == 2)
        #expect(calls[0].contains("-- janusgraph configurationmanagementgraph"))
        #expect(calls[1].contains("-kt janusgraph.janusgraph_ids,configurationmanagementgraph.janusgraph_ids"))
        #expect(try fixture.ring.tags.isEmpty)
        try fixture.ring.cql("TRUNCATE janusgraph.edgestore; TRUNCATE janusgraph.janusgraph_ids;")
        try await fixture.restoreFully(fixture.restore(copy), fixture.adapter(nil, Self.more))
        #expect(try fixture.ring.rows("janusgraph.janusgraph_ids") == 6)
        #expect(try fixture.ring.rows("janusgraph.edgestore") == 25)
    }

    @Test("instances, index backend and versions are recorded, secrets among the options are not")
    func record() async throws {
        let fixture = try fixture()
        let copy = try await fixture.capture(nil, fixture.adapter(nil, Self.more))
        let graphs = try #require(try CassandraRecord(copy.report.restoreData).graphs)
        #expect(graphs.graphs.first?.instances == ["0a000001-web1"])
        #expect(graphs.graphs.first?.options["index.search.backend"] == "elasticsearch")
        #expect(graphs.indexNames == ["search"] && graphs.configurationGraph != nil)
        #expect(!"\(copy.report)".contains("hush"))
        #expect(copy.report.notices.contains { $0.contains("are not in the bundle") })
    }

    @Test("after a promotion the console closes dead instances; what it cannot do is told in order")
    func checklist() async throws {
        let fixture = try fixture()
        let copy = try await fixture.capture(nil, fixture.adapter(nil, Self.more))
        let folder = try TemporaryDirectory("console")
        let console = try folder.write(
            "gremlin", "#!/bin/sh\ncat >\"$(dirname \"$0\")/script\"; echo 'gremlin> instances closed'\n")
        try ShortCommand.run("chmod", ["+x", console])
        let checklist = RingFixture.mapping([
            ("console", RingFixture.scalar(console)),
            ("properties", RingFixture.scalar("/etc/janusgraph/graph.properties")),
        ])
        let restore = try fixture.restore(copy)
        let adapter = try fixture.adapter(nil, Self.more + [("checklist", checklist)])
        let plan = try await adapter.planRestore(restore)
        #expect(plan.warnings.contains { $0.contains("stop every JanusGraph server") })
        let journal = try await fixture.restoreFully(restore, adapter)
        let script = try String(contentsOfFile: folder("script"), encoding: .utf8)
        #expect(script.contains("['0a000001-web1']") && script.contains("forceCloseInstance"))
        #expect(
            journal.notes.contains { $0.contains("REINDEX") } && !journal.notes.contains { $0.contains("forceClose") })
        // Without a console, it is told.
        let other = MemoryJournal()
        let again = try fixture.restore(copy, id: "again")
        try await fixture.restoreFully(again, fixture.adapter(nil, Self.more), other)
        #expect(other.notes.contains { $0.contains("mgmt.forceCloseInstance('0a000001-web1')") })
    }

    @Test("a keyspace that is no graph is refused, and a part of a graph is warned of")
    func refusals() async throws {
        let fixture = try fixture()
        let wrong = try fixture.adapter(nil, [("graphs", RingFixture.list(["system_auth"]))])
        #expect(
            try await failure { try await fixture.capture(nil, wrong) }.summary.contains("no table 'janusgraph_ids'"))
        #expect(try fixture.ring.tags.isEmpty)
        let checks = await wrong.preflight()
        #expect(checks.contains { $0.name == "graph system_auth" && $0.state == .failed })
        let copy = try await fixture.capture()
        let plan = try await fixture.adapter().planRestore(
            fixture.restore(copy, include: ["janusgraph.edgestore"], rename: "copy"))
        #expect(plan.warnings.contains { $0.contains("restored in part") })
        #expect(plan.warnings.contains { $0.contains("writes into the live index") })
    }
}
