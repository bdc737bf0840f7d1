// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Cassandra

@Suite struct RestoreTests {
    @Test(
        "lost and newer rows give way to the copy on every node, and the roll-back brings them again",
        arguments: [("4.1.3", "nb", "big"), ("3.11.14", "md", "big"), ("5.0.2", "da", "bti")])
    func inPlace(_ release: String, _ version: String, _ format: String) async throws {
        let (fixture, copy) = try await RingFixture.copied {
            $0.nodes = 3
            $0.replicas = 2
            $0.release = release
            $0.layout = [version, format]
        }
        try fixture.ring.cql("TRUNCATE app.users;")
        try fixture.ring.insert("app.users", from: 1000, count: 5)
        try fixture.ring.insert("app.events", from: 12, count: 3)
        let restore = try fixture.restore(copy)
        let plan = try await fixture.adapter().planRestore(restore)
        #expect(
            plan.blockers.isEmpty && plan.warnings.contains { $0.contains("no table or keyspace can be exchanged") })
        #expect(plan.replaces.count == 2)
        let journal = MemoryJournal()
        let adapter = try fixture.adapter()
        try await adapter.stage(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 5)
        let facts = try await adapter.verify(restore, journal: journal)
        #expect(facts.allSatisfy(\.isEqual) && facts.contains { $0.name == "app.users rows" && $0.found == .count(40) })
        try await adapter.promote(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 40 && fixture.ring.rows("app.events") == 12)
        #expect(try fixture.leftKeyspaces.isEmpty && fixture.leftFolders.isEmpty)
        try await adapter.rollBack(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 5 && fixture.ring.rows("app.events") == 15)
        #expect(try fixture.ring.tags.allSatisfy { !$0.contains("salvor") } && fixture.leftFolders.isEmpty)
        #expect(try fixture.ring.admin("no-compaction").trimmingCharacters(in: .whitespacesAndNewlines).isEmpty)
    }

    @Test("settling takes the safety snapshot away, and from then on there is no way back")
    func settle() async throws {
        let (fixture, copy) = try await RingFixture.copied()
        let restore = try fixture.restore(copy)
        let journal = try await fixture.restoreFully(restore)
        #expect(try fixture.ring.tags.contains { $0.contains("salvor_keep_k3f9") })
        try await fixture.adapter().settle(restore, journal: journal)
        #expect(try !fixture.ring.tags.contains { $0.contains("salvor") })
        #expect(
            try await failure { try await fixture.adapter().rollBack(restore, journal: journal) }.summary.contains(
                "settled"))
    }

    @Test("files go to the folder of the current id, whatever other folders of that table are there")
    func recreatedTable() async throws {
        let (fixture, copy) = try await RingFixture.copied()
        // Dropped and made again: a new id, and the old folder stays with a last snapshot in it.
        try fixture.ring.cql("DROP TABLE app.users; CREATE TABLE app.users (id text PRIMARY KEY, name text);")
        try await fixture.restoreFully(fixture.restore(copy))
        #expect(try fixture.ring.rows("app.users") == 40)
        let record = try CassandraRecord(copy.report.restoreData)
        let id = try fixture.ring.admin("id", "app", "users").trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(record.tables.first { $0.qualified == "app.users" }?.id != id)
    }

    @Test("a keyspace that is gone is made again with its ids, and rolled back to nothing")
    func lostKeyspace() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        let id = try fixture.ring.admin("id", "app", "users")
        try fixture.ring.cql("DROP KEYSPACE app;")
        let restore = try fixture.restore(copy)
        let journal = try await fixture.restoreFully(restore)
        #expect(try fixture.ring.rows("app.users") == 40)
        #expect(try fixture.ring.admin("id", "app", "users") == id)
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(throws: ShortCommand.Failed.self) { try fixture.ring.rows("app.users") }
    }

    @Test("under a new name beside the live keyspace, which is not touched")
    func renamed() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 500, count: 1)
        let restore = try fixture.restore(copy, include: ["app.users"], rename: "app_before")
        let journal = try await fixture.restoreFully(restore)
        #expect(try fixture.ring.rows("app_before.users") == 40 && fixture.ring.rows("app.users") == 41)
        #expect(throws: ShortCommand.Failed.self) { try fixture.ring.rows("app_before.events") }
        let again = try await fixture.adapter().planRestore(fixture.restore(copy, rename: "app_before", id: "other"))
        #expect(again.blockers.contains { $0.contains("'app_before' already") })
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(throws: ShortCommand.Failed.self) { try fixture.ring.rows("app_before.users") }
    }

    @Test("a load that says it went well and took nothing, or not all, is no restore, and the live rows stay")
    func silentLoss() async throws {
        for (fault, json) in [("import-ignores", #""node2""#), ("import-loses", #""app__salvor_k3f9.users""#)] {
            let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
            try fixture.ring.insert("app.users", from: 100, count: 2)
            try fixture.ring.fault(fault, json)
            let failure = try await failure { try await fixture.restoreFully(fixture.restore(copy)) }
            #expect(failure.summary.contains("left") || failure.code == .verifyFailed, "\(failure.summary)")
            #expect(try fixture.ring.rows("app.users") == 42)
        }
        let (old, copy) = try await RingFixture.copied {
            $0.release = "3.11.14"; $0.layout = ["me", "big"]
        }
        try old.ring.fault("refresh-ignores", #""node1""#)
        #expect(try await failure { try await old.restoreFully(old.restore(copy)) }.summary.contains("refresh ignored"))
    }

    @Test("a loss that shows in the promotion only is told, and everything can be put back")
    func lossInPromotion() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 100, count: 2)
        try fixture.ring.fault("import-loses", #""app.users""#)
        let journal = MemoryJournal()
        let restore = try fixture.restore(copy)
        let failure = try await failure { try await fixture.restoreFully(restore, nil, journal) }
        #expect(failure.summary.contains("has not taken every SSTable"))
        try fixture.ring.fault("import-loses", "null")
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 42 && fixture.ring.rows("app.events") == 12)
    }

    @Test("views are made anew from the restored rows, and again from the old ones after a roll-back")
    func views() async throws {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.cql(
            "CREATE MATERIALIZED VIEW app.by_name AS SELECT * FROM app.users WHERE id IS NOT NULL PRIMARY KEY (id);")
        try fixture.ring.insert("app.users", from: 0, count: 30)
        let copy = try await fixture.capture()
        try fixture.ring.cql("TRUNCATE app.users;")
        try fixture.ring.insert("app.users", from: 100, count: 4)
        let restore = try fixture.restore(copy)
        let journal = try await fixture.restoreFully(restore)
        #expect(try fixture.ring.rows("app.by_name") == 30)
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(try fixture.ring.rows("app.by_name") == 4 && fixture.ring.rows("app.users") == 4)
    }

    @Test("staged as files only: half the space, and the same promotion")
    func filesOnly() async throws {
        let (fixture, copy) = try await RingFixture.copied { $0.nodes = 2 }
        try fixture.ring.cql("TRUNCATE app.users;")
        let adapter = try fixture.adapter(
            nil, [("restore", RingFixture.mapping([("stage", RingFixture.scalar("files"))]))])
        let restore = try fixture.restore(copy)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try !fixture.ring.calls.contains { $0.contains("__salvor_") })
        #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await adapter.promote(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 40)
    }
}
