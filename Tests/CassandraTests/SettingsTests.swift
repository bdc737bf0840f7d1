// SPDX-License-Identifier: Apache-2.0
import Domain
import TestSupport
import Testing
import Transports

@testable import Cassandra

@Suite struct SettingsTests {
    private func settings(_ pairs: [(String, ConfigNode)]) throws -> CassandraSettings {
        try CassandraSettings(RingFixture.mapping(pairs), source: "ring")
    }

    @Test("without any setting it is the node here, as its packages put it")
    func defaults() throws {
        let settings = try settings([])
        #expect(settings.nodes.count == 1 && settings.nodes[0].yaml == "/etc/cassandra/cassandra.yaml")
        #expect(settings.nodes[0].configuration == ["/etc/cassandra/cassandra.yaml"])
        #expect(settings.keyspaces.isEmpty && settings.product == .cassandra && settings.scope == .cluster)
    }

    @Test(
        "what is wrong is refused with its place",
        arguments: [
            ("prodct", "unknown key"), ("product", "must be one of"), ("scope", "must be one of"),
            ("data-directories", "absolute paths"), ("count-rows", "keyspace.table"),
        ])
    func wrong(_ key: String, _ text: String) {
        let error = #expect(throws: Failure.self) { try settings([(key, RingFixture.scalar("relative"))]) }
        #expect(error?.summary.contains(text) == true && error?.summary.contains("plan.yaml:1") == true)
    }

    @Test("a node has one name, one source one node in scope node, and a user needs a file")
    func rules() throws {
        let node = RingFixture.mapping([("name", RingFixture.scalar("a"))])
        let nodes = ConfigNode.sequence([node, node], RingFixture.mark)
        #expect(throws: Failure.self) { try settings([("nodes", nodes)]) }
        #expect(throws: Failure.self) { try settings([("scope", RingFixture.scalar("node"))]) }
        let jmx = RingFixture.mapping([("user", RingFixture.scalar("backup"))])
        #expect(throws: Failure.self) { try settings([("connection", RingFixture.mapping([("jmx", jmx)]))]) }
    }

    @Test("the schema names every key that is read")
    func schema() {
        for key in CassandraSettings.keys { #expect(CassandraFactory().settingsSchema["properties"]?[key] != nil) }
        for key in GraphSettings.keys { #expect(JanusGraphFactory().settingsSchema["properties"]?[key] != nil) }
        #expect(JanusGraphFactory().settingsSchema["properties"]?["keyspaces"] == nil)
    }

    @Test("a drill is refused with what to do instead")
    func drills() {
        #expect(CassandraFactory().drilling.isEmpty && JanusGraphFactory().drilling.isEmpty)
        #expect(CassandraFactory().drillRefusal?.instead.contains("salvor restore --stage-only") == true)
        #expect(JanusGraphFactory().drillRefusal?.reason == "Salvor starts no JanusGraph of its own")
    }

    @Test("preflight looks at tools, ring, data and schema, and says what is wrong with the remedy")
    func preflight() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        let good = try await fixture.adapter().preflight()
        #expect(good.allSatisfy { $0.state == .ok }, "\(good)")
        #expect(
            Set(good.map(\.name)).isSuperset(of: ["node1 nodetool", "node2 cqlsh", "ring", "node1 data", "schema"]))
        try fixture.ring.change("node2", #"{"up": false}"#)
        let bad = try await fixture.adapter().preflight()
        let check = try #require(bad.first { $0.name == "node2 nodetool" })
        #expect(check.state == .failed && check.code == "source.unreachable" && check.remedy != nil)
        let missing = try await fixture.adapter(
            nil, [("commands", RingFixture.mapping([("nodetool", RingFixture.scalar("/nonexistent/nodetool"))]))]
        ).preflight()
        #expect(missing.contains { $0.state == .failed && $0.code == "preflight.program-missing" })
    }
}
