// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Qdrant

@Suite("Qdrant restore")
struct QdrantRestoreTests {
    private let double: QdrantDouble
    private let fixture: QdrantFixture

    init() throws {
        double = try QdrantDouble()
        double.put("docs", QdrantFixture.collection(100))
        double.alias("live", to: "docs")
        fixture = try QdrantFixture(double.url)
    }

    /// What clients find under a name.
    private func found(_ name: String) -> QdrantDouble.Collection? {
        double.collections[double.aliases[name] ?? name]
    }

    @Test("an alias is switched to the restored collection, and back")
    func alias() async throws {
        let copy = try await fixture.capture()
        double.put("docs", QdrantFixture.collection(7, seed: 9))
        let restore = try fixture.restore(copy)
        let plan = try await fixture.adapter().planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["alias 'live' (now collection 'docs', which is kept)"])
        #expect(plan.warnings.contains { $0.contains("'docs' by its own name") })
        try await fixture.restoreFully(restore, fixture.journal)
        #expect(found("live") == QdrantFixture.collection(100))
        #expect(double.collections["docs"]?.points.count == 7)
        #expect(double.snapshots == [])
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(double.aliases == ["live": "docs"])
        #expect(Array(double.collections.keys) == ["docs"])
    }

    @Test("a collection that clients use by its own name is copied aside and becomes an alias")
    func plain() async throws {
        double.put("raw", QdrantFixture.collection(50))
        let copy = try await fixture.capture()
        double.put("raw", QdrantFixture.collection(7, seed: 9))
        let restore = try fixture.restore(copy, include: ["raw"])
        #expect(try await fixture.adapter().planRestore(restore).warnings.contains { $0.contains("no alias") })
        try await fixture.restoreFully(restore, fixture.journal)
        #expect(found("raw") == QdrantFixture.collection(50))
        #expect(double.collections["raw__salvor_k3f9_old"] == QdrantFixture.collection(7, seed: 9))
        #expect(double.snapshots == [])
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(found("raw") == QdrantFixture.collection(7, seed: 9))
        #expect(double.collections["raw__salvor_k3f9"] == nil)
    }

    @Test("on an empty server every name is there again, and settling keeps the restored")
    func disaster() async throws {
        let copy = try await fixture.capture()
        let other = try QdrantDouble(version: "1.16.0")
        let target = try QdrantFixture(other.url)
        let restore = try target.restore(copy)
        try await target.restoreFully(restore, target.journal)
        #expect(other.aliases == ["live": "docs__salvor_k3f9"])
        try await target.adapter().settle(restore.place, journal: target.journal)
        #expect(Array(other.collections.keys) == ["docs__salvor_k3f9"])
        await #expect(throws: Failure.self) {
            try await target.adapter().rollBack(restore.place, journal: target.journal)
        }
    }

    @Test("settling removes the old collection, abandoning the staged one")
    func endings() async throws {
        let copy = try await fixture.capture()
        let restore = try fixture.restore(copy)
        let first = MemoryJournal()
        try await fixture.adapter().stage(restore, journal: first)
        #expect(double.collections.count == 2)
        try await fixture.adapter().abandon(restore.place, journal: first)
        #expect(double.collections.count == 1)
        try await fixture.restoreFully(restore, fixture.journal)
        try await fixture.adapter().settle(restore.place, journal: fixture.journal)
        #expect(Array(double.collections.keys) == ["docs__salvor_k3f9"])
        #expect(found("live")?.points.count == 100)
    }

    @Test("one collection comes back under another name, and never over something that is there")
    func rename() async throws {
        let copy = try await fixture.capture()
        let restore = try fixture.restore(copy, rename: "docs-check")
        try await fixture.restoreFully(restore, fixture.journal)
        #expect(double.aliases == ["live": "docs", "docs-check": "docs-check__salvor_k3f9"])
        #expect(try await !fixture.adapter().planRestore(try fixture.restore(copy, rename: "live")).blockers.isEmpty)
    }

    @Test(
        "a snapshot of another version is refused before anything is made", arguments: ["1.14.9", "1.17.0", "2.15.0"])
    func versions(_ version: String) async throws {
        let copy = try await fixture.capture()
        let other = try QdrantDouble(version: version)
        let target = try QdrantFixture(other.url)
        let restore = try target.restore(copy)
        #expect(try await target.adapter().planRestore(restore).blockers.contains { $0.contains("1.15.4") })
        await #expect {
            try await target.adapter().stage(restore, journal: target.journal)
        } throws: { ($0 as? Failure)?.code == .versionRefused }
        #expect(other.requests.allSatisfy { $0.hasPrefix("GET") })
    }

    @Test("a server that says true and holds nothing fails the restore, and the live names are as before")
    func nothing() async throws {
        let copy = try await fixture.capture()
        double.set(.loadsNothing)
        await #expect {
            try await fixture.adapter().stage(try fixture.restore(copy), journal: fixture.journal)
        } throws: { ($0 as? Failure)?.summary.contains("is empty") == true }
        #expect(double.aliases == ["live": "docs"])
        try await fixture.adapter().abandon(try fixture.restore(copy).place, journal: fixture.journal)
        #expect(Array(double.collections.keys) == ["docs"])
    }

    @Test("points spread by keys come back, since the keys are made first and in their order")
    func customSharding() async throws {
        var custom = QdrantFixture.collection(30)
        custom.config = [
            "params": ["vectors": ["size": 2, "distance": "Dot"], "shard_number": 1, "sharding_method": "custom"]
        ]
        custom.keys = ["eu", "asia", "us"]
        double.put("spread", custom)
        let copy = try await fixture.capture()
        try await fixture.restoreFully(try fixture.restore(copy, include: ["spread"]), fixture.journal)
        #expect(found("spread")?.points.count == 30)
        #expect(found("spread")?.keys == ["eu", "asia", "us"])
    }

    @Test("points that differ from what was sampled fail the verification")
    func sampled() async throws {
        let copy = try await fixture.capture()
        let restore = try fixture.restore(copy)
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        double.put("docs__salvor_k3f9", QdrantFixture.collection(100, seed: 5))
        let facts = try await fixture.adapter().verify(restore, journal: fixture.journal)
        #expect(facts.filter { !$0.isEqual }.map(\.name) == ["collection docs sampled points sha256"])
        double.put("docs__salvor_k3f9", QdrantFixture.collection(99))
        await #expect(throws: Failure.self) {
            _ = try await fixture.adapter().verify(restore, journal: fixture.journal)
        }
    }

    @Test("killed at any record, a restore is finished by the next attempt", arguments: 0...8)
    func resume(_ records: Int) async throws {
        double.put("raw", QdrantFixture.collection(50))
        let copy = try await fixture.capture()
        double.put("raw", QdrantFixture.collection(7, seed: 9))
        let restore = try fixture.restore(copy)
        let dying = MemoryJournal(failingAfter: records)
        var wasKilled = false
        do { try await fixture.restoreFully(restore, dying) } catch is MemoryJournal.Killed { wasKilled = true }
        #expect(wasKilled == (records < 7))
        let next = MemoryJournal(await dying.recorded)
        try await fixture.restoreFully(restore, next, resuming: true)
        #expect(found("live") == QdrantFixture.collection(100))
        #expect(found("raw") == QdrantFixture.collection(50))
        #expect(double.collections["raw__salvor_k3f9_old"]?.points.count == 7)
        #expect(double.snapshots == [])
    }

    @Test("killed at any record, a restore is undone", arguments: 0...8)
    func undo(_ records: Int) async throws {
        double.put("raw", QdrantFixture.collection(50))
        let copy = try await fixture.capture()
        double.put("raw", QdrantFixture.collection(7, seed: 9))
        let restore = try fixture.restore(copy)
        let dying = MemoryJournal(failingAfter: records)
        do { try await fixture.restoreFully(restore, dying) } catch is MemoryJournal.Killed {}
        let next = MemoryJournal(await dying.recorded)
        try await fixture.adapter().rollBack(restore.place, journal: next)
        #expect(found("live") == QdrantFixture.collection(100))
        #expect(double.aliases["live"] == "docs")
        #expect(found("raw") == QdrantFixture.collection(7, seed: 9))
        #expect(double.collections["raw__salvor_k3f9"] == nil && double.collections["docs__salvor_k3f9"] == nil)
    }

    @Test("the fewest snapshots that hold a node's shards are chosen, its own first")
    func cover() {
        let parts = [
            QdrantAdapter.Stored.Part(node: "a", stream: "a", shards: [0, 1]),
            QdrantAdapter.Stored.Part(node: "b", stream: "b", shards: [1, 2]),
            QdrantAdapter.Stored.Part(node: "c", stream: "c", shards: [0, 2]),
        ]
        #expect(QdrantAdapter.cover([1], by: parts, "b").map(\.node) == ["b"])
        #expect(QdrantAdapter.cover([0, 1], by: parts, "b").map(\.node) == ["a"])
        #expect(QdrantAdapter.cover([0, 1, 2], by: parts, "c").map(\.node).count == 2)
    }
}

extension QdrantFixture {
    /// As `restoreFully`, after a kill: what is done already is not done again.
    func restoreFully(_ restore: SourceRestore, _ journal: any RestoreJournal, resuming: Bool) async throws {
        let phase = await journal.recorded["phase"]?.string
        if phase == "promoting" || phase == "promoted" {
            try await adapter().promote(restore, journal: journal)
        } else {
            try await restoreFully(restore, journal)
        }
    }
}
