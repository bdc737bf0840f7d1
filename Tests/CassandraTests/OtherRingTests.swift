// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Cassandra

@Suite struct OtherRingTests {
    @Test("a ring of another shape takes the rows through sstableloader, and only the target's shape decides")
    func otherTopology() async throws {
        let (_, copy) = try await RingFixture.copied { $0.nodes = 3 }
        let target = try RingFixture {
            $0.nodes = 2
            $0.tokenShift = 7
            $0.cluster = "Other"
        }
        let restore = try target.restore(copy)
        let plan = try await target.adapter().planRestore(restore)
        #expect(plan.blockers.isEmpty && plan.warnings.contains { $0.contains("sstableloader") })
        #expect(plan.warnings.contains { $0.contains("'Other'") })
        let journal = try await target.restoreFully(restore)
        #expect(try target.ring.rows("app.users") == 40)
        #expect(try target.ring.calls.contains { $0.hasPrefix("sstableloader -d 127.0.0.1,127.0.0.1") })
        try await target.adapter().rollBack(restore, journal: journal)
        #expect(try target.ring.rows("app.users") == 0)
    }

    @Test("files go to the node that owns their tokens, whatever it is called")
    func renamedNodes() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        try fixture.ring.cql("TRUNCATE app.users;")
        func node(_ name: String, _ place: String, _ index: Int) -> ConfigNode {
            var pairs: [(String, String)] = [("name", name), ("host", "127.0.0.1")]
            pairs.append(("jmx-port", "\(7200 + index)"))
            pairs.append(("cql-port", "\(9100 + index)"))
            pairs.append(("cassandra-yaml", fixture.ring.configuration(place) + "/cassandra.yaml"))
            return RingFixture.mapping(pairs.map { ($0.0, RingFixture.scalar($0.1)) })
        }
        let nodes = [node("alpha", "node2", 1), node("beta", "node1", 0)]
        let adapter = try fixture.adapter(nil, [("nodes", .sequence(nodes, RingFixture.mark))])
        // The double refuses rows that a node does not own, as import does.
        try await fixture.restoreFully(fixture.restore(copy), adapter)
        #expect(try fixture.ring.rows("app.users") == 40)
    }

    @Test("a loader that fails is told with its words, and its keyspace goes")
    func loaderFails() async throws {
        let (_, copy) = try await RingFixture.copied { $0.nodes = 3 }
        let target = try RingFixture {
            $0.nodes = 2
            $0.tokenShift = 7
        }
        try target.ring.fault("loader-fails", "true")
        let (restore, journal) = (try target.restore(copy), MemoryJournal())
        let failure = try await failure { try await target.adapter().stage(restore, journal: journal) }
        #expect(failure.summary.contains("sstableloader failed") && failure.summary.contains("Streaming to"))
        try await target.adapter().abandon(restore, journal: journal)
        #expect(try target.leftKeyspaces.isEmpty && target.leftFolders.isEmpty)
    }

    @Test("components of storage-attached indexes are captured and travel with their SSTable")
    func attachedIndex() async throws {
        let fixture = try RingFixture {
            $0.release = "5.0.2"
            $0.layout = ["da", "bti"]
        }
        try fixture.ring.cql("CREATE CUSTOM INDEX by_name ON app.users (name) USING 'StorageAttachedIndex';")
        try fixture.ring.insert("app.users", from: 0, count: 8)
        let copy = try await fixture.capture()
        var components = 0
        try copy.capture.stream("node-node1")?.members.forEach {
            if String(decoding: $0.path, as: UTF8.self).hasSuffix("-SAI+aa+by_name+TermsData.db") { components += 1 }
        }
        #expect(components == 1)
        try fixture.ring.cql("TRUNCATE app.users;")
        try await fixture.restoreFully(fixture.restore(copy))
        #expect(try fixture.ring.rows("app.users") == 8)
        let found = try ShortCommand.run(
            "find",
            [fixture.ring.data("node1"), "-maxdepth", "3", "-name", "*SAI+aa+by_name*", "-path", "*/app/users-*"])
        #expect(found.split(separator: "\n").count == 1)
    }

    @Test("equal file names of two nodes do not overwrite each other")
    func equalNames() async throws {
        // Three nodes with files nb-1-big-… each, onto one node: what copying by hand into one folder loses.
        let (_, copy) = try await RingFixture.copied { $0.nodes = 3 }
        let target = try RingFixture()
        try await target.restoreFully(target.restore(copy))
        #expect(try target.ring.rows("app.users") == 40 && target.ring.rows("app.events") == 12)
    }

    @Test("columns that were dropped are in the schema that the files are loaded under")
    func droppedColumns() async throws {
        let fixture = try RingFixture()
        try fixture.ring.cql("ALTER TABLE app.users ADD old text;")
        try fixture.ring.admin("insert", "app", "users", "0", "10", #"{"old": "x"}"#)
        try fixture.ring.flush("app.users")
        try fixture.ring.cql("ALTER TABLE app.users DROP old;")
        let copy = try await fixture.capture()
        for target in [fixture, try RingFixture { $0.tokenShift = 3 }] {
            try target.ring.cql("DROP KEYSPACE app;")
            try await target.restoreFully(target.restore(copy))
            #expect(try target.ring.rows("app.users") == 10)
        }
    }

    @Test(
        "refused before anything is touched: older and foreign releases, other columns, one node's bundle, nodes down")
    func refusals() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        func blockers(_ target: RingFixture, _ more: [(String, ConfigNode)] = []) async throws -> String {
            let calls = try target.ring.calls.count
            let adapter = try target.adapter(nil, more)
            let plan = try await adapter.planRestore(target.restore(copy))
            let journal = MemoryJournal()
            _ = try await failure { try await adapter.stage(target.restore(copy), journal: journal) }
            #expect(journal.recordCount == 0)
            let made = try target.ring.calls.dropFirst(calls).filter {
                ["CREATE", "DROP", "TRUNCATE", " import ", " snapshot "].contains(where: $0.contains)
            }
            #expect(made.isEmpty)
            return plan.blockers.joined(separator: "; ")
        }
        #expect(
            try await blockers(
                RingFixture {
                    $0.nodes = 2; $0.release = "3.11.14"
                }
            ).contains("never go back"))
        #expect(
            try await blockers(fixture, [("product", RingFixture.scalar("hcd"))]).contains(
                "do not load into each other"))
        let other = try RingFixture { $0.nodes = 2 }
        try other.ring.cql("DROP TABLE app.users; CREATE TABLE app.users (id int PRIMARY KEY, name text);")
        #expect(try await blockers(other).contains("has other columns"))
        try other.ring.change("node1", #"{"up": false}"#)
        #expect(try await blockers(other).contains("node 'node1'"))
        let old = try RingFixture {
            $0.release = "3.11.14"; $0.layout = ["md", "big"]
        }
        let ancient = try await old.capture()
        let five = try RingFixture { $0.release = "5.0.2" }
        let plan = try await five.adapter().planRestore(five.restore(ancient))
        #expect(plan.blockers.contains { $0.contains("skip no major release") })
    }

    @Test("one node's bundles are restored into one new keyspace, node by node")
    func nodeByNode() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 0, count: 40)
        let more = [("scope", RingFixture.scalar("node")), ("group", RingFixture.scalar("prod"))]
        var copies: [(CassandraAdapter, RingFixture.Copy)] = []
        for node in fixture.ring.nodes {
            let adapter = try fixture.adapter([node], more)
            copies.append((adapter, try await fixture.capture(nil, adapter)))
        }
        for (index, (adapter, copy)) in copies.enumerated() {
            let live = try await adapter.planRestore(fixture.restore(copy))
            #expect(live.blockers.contains { $0.contains("TRUNCATE") })
            try await fixture.restoreFully(fixture.restore(copy, rename: "again", id: "id\(index)"), adapter)
        }
        #expect(try fixture.ring.rows("again.users") == 40)
    }

    @Test("damage in the bundle is found before a node sees a file of it")
    func damagedBundle() async throws {
        let (fixture, copy) = try await RingFixture.copied()
        var stream = try #require(copy.capture.stream("node-node1"))
        var offset = 0
        try stream.members.forEach {
            if String(decoding: $0.path, as: UTF8.self).contains("app/users-"), $0.size > 600 {
                // Within the data, which ends the member but for padding.
                offset = Int($0.offset + $0.length - ($0.size + 511) / 512 * 512 + 300)
            }
        }
        stream.bytes[offset] ^= 1
        copy.capture.replace(stream)
        let restore = try fixture.restore(copy)
        let journal = MemoryJournal()
        let failure = try await failure { try await fixture.adapter().stage(restore, journal: journal) }
        #expect(failure.code == .integrity && failure.summary.contains("not what was captured"))
        try await fixture.adapter().abandon(restore, journal: journal)
        #expect(fixture.leftFolders.isEmpty)
        #expect(try fixture.leftKeyspaces.isEmpty)
    }
}
