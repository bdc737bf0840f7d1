// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Meilisearch

@Suite("Meilisearch")
struct MeilisearchTests {
    private let double: MeilisearchDouble
    private var fixture: MeilisearchFixture

    init() throws {
        double = try MeilisearchDouble(key: "master-key")
        double.put("movies", MeilisearchFixture.movies(234))
        double.put("empty", MeilisearchDouble.Index())
        double.put("books", MeilisearchFixture.movies(3, title: "book"))
        double.addKey("11111111-2222-3333-4444-555555555555")
        fixture = try MeilisearchFixture(double.url, key: "master-key")
        fixture.extra = [("page-size", "100")]
    }

    @Test("documents, settings and keys of all indexes are in the bundle, page after page")
    func capture() async throws {
        let copy = try await fixture.capture()
        #expect(copy.report.engine == "Meilisearch 1.15.2")
        #expect(copy.report.facts["index movies documents"] == .count(234))
        #expect(copy.report.facts["index empty documents"] == .count(0))
        #expect(copy.report.facts["index movies primary key"] == .text("id"))
        #expect(
            copy.capture.streams.map(\.name)
                == ["documents-books", "documents-empty", "documents-movies", "keys", "settings"])
        let lines = (copy.capture.bytes("documents-movies") ?? []).split(separator: 10)
        let documents = try lines.map { try JSONDecoder().decode(JSONValue.self, from: Data($0)) }
        #expect(documents == MeilisearchFixture.movies(234).documents)
        #expect(copy.report.notices == [])
        #expect(double.requests.filter { $0.contains("movies/documents/fetch") }.count == 3)
    }

    @Test("what changes while it is read is a notice, or a failure where that is asked for")
    func changes() async throws {
        double.set(.writes, .late(0))
        let copy = try await fixture.capture()
        #expect(copy.report.notices.contains { $0.contains("changed indexes while they were read") })
        var strict = fixture
        strict.extra += [("on-change", "fail")]
        await #expect { _ = try await strict.capture() } throws: { ($0 as? Failure)?.hint?.contains("retries") == true }
    }

    @Test("indexes are swapped with the restored ones, and swapped back")
    func roundTrip() async throws {
        let before = double.indexes
        let copy = try await fixture.capture()
        double.put("movies", MeilisearchFixture.movies(7, title: "damaged"))
        let damaged = double.indexes
        let restore = try fixture.restore(copy)
        let plan = try await fixture.adapter().planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces.contains("index movies (7 documents)"))
        try await fixture.restoreFully(restore, fixture.journal)
        for (name, index) in before { #expect(double.indexes[name] == index, "index \(name)") }
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(double.indexes == damaged)
    }

    @Test("on an empty server indexes and keys are there again; rolling back leaves it empty, settling full")
    func disaster() async throws {
        let copy = try await fixture.capture()
        for settles in [true, false] {
            let other = try MeilisearchDouble(version: "1.16.0")
            let target = try MeilisearchFixture(other.url)
            let restore = try target.restore(copy)
            try await target.restoreFully(restore, target.journal)
            #expect(other.indexes["movies"] == MeilisearchFixture.movies(234))
            #expect(other.keys.compactMap { $0["key"] } == double.keys.compactMap { $0["key"] })
            if settles {
                try await target.adapter().settle(restore.place, journal: target.journal)
                #expect(other.indexes.keys.sorted() == ["books", "empty", "movies"])
            } else {
                try await target.adapter().rollBack(restore.place, journal: target.journal)
                #expect(other.indexes.isEmpty && other.keys.isEmpty)
            }
        }
    }

    @Test("one index comes back under another name, and brings no keys")
    func rename() async throws {
        let copy = try await fixture.capture()
        let other = try MeilisearchDouble()
        let target = try MeilisearchFixture(other.url)
        try await target.restoreFully(
            try target.restore(copy, include: ["books"], rename: "books2"), target.journal)
        #expect(other.indexes["books2"] == MeilisearchFixture.movies(3, title: "book"))
        #expect(other.keys.isEmpty)
        #expect(try await !fixture.adapter().planRestore(try fixture.restore(copy, rename: "movies")).blockers.isEmpty)
    }

    @Test("an older server is refused before anything is made")
    func versions() async throws {
        let copy = try await fixture.capture()
        let other = try MeilisearchDouble(version: "1.14.0")
        let target = try MeilisearchFixture(other.url)
        let restore = try target.restore(copy)
        #expect(
            try await target.adapter().planRestore(restore).blockers.contains { $0.contains("is older than 1.15.2") })
        await #expect {
            try await target.adapter().stage(restore, journal: target.journal)
        } throws: { ($0 as? Failure)?.code == .versionRefused }
        #expect(other.requests.allSatisfy { $0.hasPrefix("GET") })
    }

    @Test(
        "a task that fails or is cancelled, and a success that loses documents, fail the restore and say which",
        arguments: [
            (MeilisearchDouble.Fault.fails("documentAdditionOrUpdate"), "no_space_left_on_device"),
            (.cancels("settingsUpdate"), "was cancelled by somebody"), (.loses, "has 2 of 3 documents"),
        ])
    func tasks(_ fault: MeilisearchDouble.Fault, _ words: String) async throws {
        let copy = try await fixture.capture()
        let before = double.indexes
        double.set(fault)
        await #expect {
            try await fixture.adapter().stage(try fixture.restore(copy), journal: fixture.journal)
        } throws: {
            let failure = $0 as? Failure
            return failure?.summary.contains(words) == true && failure?.hint != nil
        }
        double.set()
        try await fixture.adapter().abandon(try fixture.restore(copy).place, journal: fixture.journal)
        #expect(double.indexes == before)
    }

    @Test("a swap that fails changes nothing; late tasks are waited for, but not for ever")
    func lateTasks() async throws {
        let copy = try await fixture.capture()
        double.put("books", MeilisearchFixture.movies(1))
        let damaged = double.indexes
        let restore = try fixture.restore(copy, include: ["books"])
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        double.set(.fails("indexSwap"))
        await #expect(throws: Failure.self) {
            try await fixture.adapter().promote(restore, journal: fixture.journal)
        }
        #expect(double.indexes["books"] == damaged["books"])
        double.set(.late(5))
        try await fixture.adapter().promote(restore, journal: fixture.journal)
        #expect(double.indexes["books"] == MeilisearchFixture.movies(3, title: "book"))
        var hasty = fixture
        hasty.extra = [("task-timeout", "1")]
        double.set(.late(1_000_000))
        await #expect {
            try await hasty.adapter().rollBack(restore.place, journal: fixture.journal)
        } throws: { ($0 as? Failure)?.hint?.contains("task-timeout") == true }
        double.set()
        // The same queue goes on: nothing was asked for twice.
        double.hurry()
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(double.indexes == damaged)
    }

    @Test("a swap whose answer was lost is not done twice")
    func lostAnswer() async throws {
        let copy = try await fixture.capture()
        double.put("books", MeilisearchFixture.movies(1))
        let restore = try fixture.restore(copy, include: ["books"])
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        double.set(.diesAfterSwap)
        await #expect(throws: Failure.self) {
            try await fixture.adapter().promote(restore, journal: fixture.journal)
        }
        double.set()
        try await fixture.adapter().promote(restore, journal: fixture.journal)
        #expect(double.indexes["books"] == MeilisearchFixture.movies(3, title: "book"))
    }

    @Test("killed at any record, a restore is finished by the next attempt", arguments: 0...8)
    func resume(_ records: Int) async throws {
        let copy = try await fixture.capture()
        let other = try MeilisearchDouble()
        other.put("books", MeilisearchFixture.movies(1))
        let target = try MeilisearchFixture(other.url)
        let restore = try target.restore(copy)
        let dying = MemoryJournal(failingAfter: records)
        do { try await target.restoreFully(restore, dying) } catch is MemoryJournal.Killed {}
        try await target.restoreFully(restore, MemoryJournal(await dying.recorded))
        #expect(other.indexes["books"] == MeilisearchFixture.movies(3, title: "book"))
        #expect(other.indexes["movies"] == MeilisearchFixture.movies(234))
        #expect(other.indexes["books__salvor_k3f9"] == MeilisearchFixture.movies(1))
        #expect(other.keys.count == 1)
    }

    @Test("killed at any record, a restore is undone", arguments: 0...8)
    func undo(_ records: Int) async throws {
        let copy = try await fixture.capture()
        let other = try MeilisearchDouble()
        other.put("books", MeilisearchFixture.movies(1))
        let target = try MeilisearchFixture(other.url)
        let restore = try target.restore(copy)
        let dying = MemoryJournal(failingAfter: records)
        do { try await target.restoreFully(restore, dying) } catch is MemoryJournal.Killed {}
        // Rolling back may be killed as well.
        let again = MemoryJournal(await dying.recorded, failingAfter: 1)
        do { try await target.adapter().rollBack(restore.place, journal: again) } catch is MemoryJournal.Killed {}
        try await target.adapter().rollBack(restore.place, journal: MemoryJournal(await again.recorded))
        #expect(other.indexes == ["books": MeilisearchFixture.movies(1)])
        #expect(other.keys.isEmpty)
    }

    @Test("preflight tells a wrong key, an old version, a missing index and tasks that wait")
    func preflight() async throws {
        #expect(try await fixture.adapter().preflight().allSatisfy { $0.state == .ok })
        let wrong = try await MeilisearchFixture(double.url, key: "wrong").adapter().preflight()
        #expect(wrong.first?.code == Failure.Code.sourceDenied.text)
        #expect(wrong.first?.remedy?.contains("documents.get") == true)
        let old = try MeilisearchDouble(version: "1.1.0")
        #expect(try await MeilisearchFixture(old.url).adapter().preflight().contains { $0.state == .failed })
        var missing = fixture
        missing.extra = [("indexes", "nope")]
        #expect(try await missing.adapter().preflight().contains { $0.name == "indexes" && $0.state == .failed })
        missing.extra = [("page-sise", "1")]
        #expect(throws: Failure.self) { _ = try missing.adapter() }
    }
}
