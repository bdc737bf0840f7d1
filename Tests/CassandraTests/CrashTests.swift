// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Cassandra

/// A restore that is killed at every point where it writes its journal, and between.
@Suite struct CrashTests {
    private func prepared() async throws -> (RingFixture, SourceRestore) {
        let fixture = try RingFixture { $0.nodes = 2 }
        try fixture.ring.insert("app.users", from: 0, count: 20)
        try fixture.ring.insert("app.events", from: 0, count: 6)
        let copy = try await fixture.capture()
        try fixture.ring.cql("TRUNCATE app.users;")
        try fixture.ring.insert("app.users", from: 900, count: 3)
        return (fixture, try fixture.restore(copy))
    }

    @Test("killed at any record of the journal, it goes on to the whole copy", arguments: [1, 3, 5, 7, 9, 11, 13, 15])
    func goOn(_ records: Int) async throws {
        let (fixture, restore) = try await prepared()
        let mortal = MemoryJournal(failingAfter: records)
        do { try await fixture.restoreFully(restore, nil, mortal) } catch {}
        let journal = MemoryJournal(await mortal.recorded)
        let adapter = try fixture.adapter()
        let state = try #require(try await CassandraPage.read(journal)).state
        if state.phase == .staging || state.phase == .staged {
            try await fixture.restoreFully(restore, adapter, journal)
        } else {
            try await adapter.promote(restore, journal: journal)
        }
        #expect(try fixture.ring.rows("app.users") == 20 && fixture.ring.rows("app.events") == 6)
        #expect(try fixture.leftKeyspaces.isEmpty && fixture.leftFolders.isEmpty)
    }

    @Test(
        "killed at any step, it goes back to the old rows",
        arguments: [
            "placed node2", "made beside", "loaded app.events on node2", "safe", "truncated app.users",
            "loaded app.users on node1#2",
        ])
    func goBack(_ place: String) async throws {
        let (fixture, restore) = try await prepared()
        let step = place.split(separator: "#").map(String.init)
        let counter = StepCounter(step[0], step.count > 1 ? Int(step[1]) ?? 1 : 1)
        let adapter = try fixture.adapter(beforeStep: counter.call)
        let journal = MemoryJournal()
        await #expect(throws: StepCounter.Killed.self) { try await fixture.restoreFully(restore, adapter, journal) }
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 3 && fixture.ring.rows("app.events") == 6)
        #expect(try fixture.leftKeyspaces.isEmpty && fixture.leftFolders.isEmpty)
        #expect(try !fixture.ring.tags.contains { $0.contains("salvor") })
    }

    @Test("a roll-back that is killed is finished by the next one")
    func goBackTwice() async throws {
        let (fixture, restore) = try await prepared()
        let journal = try await fixture.restoreFully(restore)
        let counter = StepCounter("put back app.users on node1", 1)
        await #expect(throws: StepCounter.Killed.self) {
            try await fixture.adapter(beforeStep: counter.call).rollBack(restore, journal: journal)
        }
        try await fixture.adapter().rollBack(restore, journal: journal)
        #expect(try fixture.ring.rows("app.users") == 3 && fixture.ring.rows("app.events") == 6)
    }
}

/// Ends the work at a step when it comes for the nth time.
final class StepCounter: Sendable {
    /// What is thrown there.
    struct Killed: Error {}

    private let name: String
    private let limit: Int
    private let seen = Counter()

    init(_ name: String, _ limit: Int) {
        self.name = name
        self.limit = limit
    }

    func call(_ step: String) throws {
        if step == name, seen.next() == limit { throw Killed() }
    }
}
