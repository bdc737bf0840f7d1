// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Meilisearch

@Suite("Meilisearch's dumps")
struct MeilisearchDumpTests {
    private let double: MeilisearchDouble
    private var fixture: MeilisearchFixture

    init() throws {
        double = try MeilisearchDouble()
        double.put("movies", MeilisearchFixture.movies(234))
        double.put("empty", MeilisearchDouble.Index())
        double.addKey("11111111-2222-3333-4444-555555555555")
        fixture = try MeilisearchFixture(double.url)
        fixture.extra = [("dump-directory", double.dumps.path)]
    }

    private var left: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: double.dumps.path) }
    }

    @Test("a dump is read as a plain tar, counted and removed; its indexes come back by swapping")
    func roundTrip() async throws {
        let before = double.indexes
        let copy = try await fixture.capture()
        #expect(copy.report.facts["index movies documents"] == .count(234))
        #expect(copy.report.position == "task 0")
        #expect(copy.capture.streams.map(\.name) == ["dump", "keys"])
        #expect(try left == [])
        double.put("movies", MeilisearchFixture.movies(7, title: "damaged"))
        let damaged = double.indexes
        let restore = try fixture.restore(copy)
        #expect(try await fixture.adapter().planRestore(restore).blockers == [])
        try await fixture.restoreFully(restore, fixture.journal)
        #expect(double.indexes["movies"] == before["movies"] && double.indexes["empty"] == before["empty"])
        try await fixture.adapter().rollBack(restore.place, journal: fixture.journal)
        #expect(double.indexes == damaged)
    }

    @Test("a dump that fails, is damaged or is not where it should be fails the source and is removed")
    func faults() async throws {
        double.set(.fails("dumpCreation"))
        await #expect { _ = try await fixture.capture() } throws: {
            ($0 as? Failure)?.summary.contains("no_space_left_on_device") == true
        }
        double.set()
        let adapter = try #require(try fixture.adapter() as? MeilisearchDumpAdapter)
        for damage in 0..<2 {
            let frozen = try await adapter.freeze()
            let path = try #require(try left.first.map { double.dumps($0) })
            var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            if damage == 0 { bytes.removeLast(bytes.count / 3) } else { bytes[bytes.count / 2] ^= 1 }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            await #expect(throws: Failure.self) { _ = try await frozen.capture(into: MemoryCapture()) }
            try await frozen.release()
            #expect(try left == [])
        }
        var elsewhere = fixture
        elsewhere.extra = [("dump-directory", "/nowhere")]
        #expect(
            try await elsewhere.adapter().preflight().contains { $0.name == "dump directory" && $0.state == .failed })
        await #expect(throws: Failure.self) { _ = try await elsewhere.capture() }
    }

    @Test("what a killed run left is removed by the next one, also when it did not know the dump's name")
    func leftovers() async throws {
        let adapter = try #require(try fixture.adapter() as? MeilisearchDumpAdapter)
        _ = try await adapter.freeze()
        #expect(try left.count == 1)
        let known = try #require(await fixture.notes.all().first)
        await fixture.notes.erase(known.id)
        await fixture.notes.add(
            FreezeNote(id: known.id, what: known.what, data: ["after": -1], noted: known.noted))
        let copy = try await fixture.capture()
        #expect(copy.report.notices.contains { $0.contains("earlier run left behind") })
        #expect(try left == [])
    }
}
