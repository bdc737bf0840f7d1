// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations
import Repository
import Retention
import Synchronization
import TestSupport
import Testing

@Suite("Prune beside others")
struct PruneTogetherTests {
    @Test("two prunes at once do what one does")
    func two() async throws {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<8 { ids.append(try await site.night(day, full: day == 4)) }
        async let firstMarks = site.prune(8)
        async let secondMarks = site.prune(8)
        #expect(try await firstMarks.ids(.marked) == Array(ids[0..<4]))
        #expect(try await secondMarks.ids(.marked) == Array(ids[0..<4]))
        async let first = site.prune(12)
        async let second = site.prune(12)
        let reports = [try await first, try await second]
        #expect(reports.allSatisfy { $0.blockers.isEmpty && !$0.hasRetained }, "\(reports.map(\.blockers))")
        #expect(try await site.repository().bundles(plan: nil) == Array(ids[4...]))
        _ = try await site.prune(12.1)
        #expect(try await site.keys("bundles/").allSatisfy { key in ids[4...].contains { key.hasPrefix($0.folder) } })
        #expect(try await site.problems([ids[4]: 4, ids[5]: 5, ids[7]: 7]) == [])
    }

    @Test(
        "a backup beside a prune commits a whole bundle, and what it refers to stays",
        arguments: PruneSite.Place.allCases)
    func backup(_ place: PruneSite.Place) async throws {
        let site = try await PruneSite.make(place)
        var ids: [BundleID] = []
        for day in 0..<8 { ids.append(try await site.night(day, full: day == 4)) }
        _ = try await site.prune(8)
        // The prune runs from its first look to its last while the backup has read its base and not yet committed.
        let next = try await site.night(
            11,
            beforeCommit: {
                let removed = try await site.prune(12).ids(.removed)
                #expect(removed == Array(ids[0..<4]))
            })
        var days = Dictionary(uniqueKeysWithValues: ids[4...].enumerated().map { ($1, $0 + 4) })
        days[next] = 11
        #expect(try await site.problems(days) == [])
        async let another = site.night(12, full: true)
        async let prunes = site.prune(12.5)
        let (id, report) = (try await another, try await prunes)
        // Its folder was never taken for a dead one.
        #expect(report.leftovers.allSatisfy { $0.state == .kept })
        #expect(try await site.problems([id: 12]) == [])
    }

    @Test("a base that is marked serves no run: before it a full is made, within it the run fails")
    func markedBase() async throws {
        let site = try await PruneSite.make()
        let base = try await site.night(0)
        for day in 1..<5 { try await site.night(day, full: false) }
        func mark(_ day: Double) async throws {
            // A policy elsewhere that knows nothing of what is under way here.
            _ = try await site.repository().record(
                RetentionRecord(
                    bundle: base, manifest: try await site.repository().manifest(base).sha256, kind: .expired,
                    at: PruneSite.moment(day), reason: "elsewhere", host: "pruner", tool: "salvor test"),
                plan: site.plan)
        }
        let before = try await site.repository().bundles(plan: nil)
        await #expect {
            try await site.night(5, beforeCommit: { try await mark(4.5) })
        } throws: {
            ($0 as? Failure)?.code == .baseMissing
        }
        #expect(try await site.repository().bundles(plan: nil) == before)
        let notes = NoteKeeper()
        let full = try await site.night(6, notes: notes)
        #expect(
            try await site.repository().manifest(full).manifest.sources.flatMap(\.streams).map(\.storage) == [.full])
        #expect(notes.notes.contains { $0.contains("marked for removal") })
        // The mark that is no longer meant is taken back: the base has kept dependants.
        #expect(try await site.prune(7).reasons(base) == ["base"])
        #expect(try await site.prune(20).ids(.removed).contains(base) == false)
    }

    @Test("a run whose segments somebody removed does not commit")
    func robbed() async throws {
        let site = try await PruneSite.make()
        try await site.night(0)
        await #expect {
            try await site.night(
                2, full: true,
                beforeCommit: {
                    for key in try await site.keys("bundles/nightly/").filter({ $0.contains("000000.zst") }).suffix(1) {
                        try await site.store.delete(key)
                    }
                })
        } throws: {
            ($0 as? Failure)?.code == .integrity
        }
        #expect(try await site.repository().bundles(plan: nil).count == 1)
    }

    @Test("a base whose mark was taken back serves no run for an hour: whoever removes may have looked before that")
    func takenBack() async throws {
        let site = try await PruneSite.make()
        let base = try await site.night(0)
        try await site.night(1)
        func record(_ kind: RetentionRecord.Kind, _ day: Double) async throws {
            _ = try await site.repository().record(
                RetentionRecord(
                    bundle: base, manifest: try await site.repository().manifest(base).sha256, kind: kind,
                    at: PruneSite.moment(day), reason: "elsewhere", host: "pruner", tool: "salvor test"),
                plan: site.plan)
        }
        try await record(.expired, 1.5)
        try await record(.kept, 2 - 30.0 / 1440)
        func storage(_ id: BundleID) async throws -> [StreamStorage] {
            try await site.repository().manifest(id).manifest.sources.flatMap(\.streams).map(\.storage)
        }
        // That full is a base of its own; the next delta refers to it.
        let notes = NoteKeeper()
        let full = try await site.night(2, notes: notes)
        #expect(try await storage(full) == [.full])
        #expect(notes.notes.contains { $0.contains("marked for removal") })
        #expect(try await storage(try await site.night(3)) == [.delta])
    }

    @Test("a run that took as long as a dead one's folder is kept does not commit")
    func week() async throws {
        let site = try await PruneSite.make()
        await #expect {
            try await site.test.backUp(["dump": PruneSite.dump(0)], at: 0, lasting: 7 * 86400 - 3000)
        } throws: {
            ($0 as? Failure)?.summary.contains("took a week") == true
        }
        #expect(try await site.repository().bundles(plan: nil) == [])
        try await site.test.backUp(["dump": PruneSite.dump(0)], at: 0, lasting: 6 * 86400)
    }

    @Test("a writer that slept between its last look and its manifest looks again, and takes the manifest back")
    func slept() async throws {
        let site = try await PruneSite.make()
        let base = try await site.night(0)
        let sleepy = FaultyStore(
            site.store,
            [
                .init(.put, "manifest.json.sig", .then {}),
                .init(.put, "manifest.json", .then { try await site.store.delete("\(base.folder)/manifest.json") }),
            ])
        await #expect {
            try await site.test.backUp(["dump": PruneSite.dump(1)], at: 86400, store: sleepy, commitTime: .zero)
        } throws: {
            ($0 as? Failure)?.code == .baseMissing
        }
        #expect(try await site.repository().bundles(plan: nil) == [])
        try sleepy.requireAllHit()
    }

    /// Twenty minutes, or as long as told, pass from each look at it to the next.
    private final class HastyClock: WallClock {
        private let seconds: Mutex<Int64>
        private let step: Int64

        init(_ start: Timestamp, step: Int64 = 1200) {
            seconds = Mutex(start.seconds)
            self.step = step
        }

        func now() -> Timestamp {
            seconds.withLock { seconds in
                seconds += step
                return Timestamp(seconds: seconds)
            }
        }
    }

    @Test("a prune that takes long looks again, so that what somebody holds meanwhile stays")
    func looksAgain() async throws {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<8 { ids.append(try await site.night(day, full: true)) }
        #expect(try await site.prune(8).ids(.marked).count == 5)
        let (first, fifth) = (ids[0], ids[4])
        // Newest first: the fifth is removed, and meanwhile somebody holds the first.
        let watched = FaultyStore(
            site.store,
            [
                .init(
                    .delete, "\(fifth.folder)/manifest.json",
                    .then {
                        let (marks, request) = site.marks(12)
                        _ = try await marks.hold(first, request)
                    })
            ])
        let report = try await site.prune(12, faulty: watched, clock: HastyClock(PruneSite.moment(12)))
        #expect(report.ids(.removed) == Array(ids[1...4]) && report.blockers.isEmpty, "\(report)")
        #expect(try await site.repository().bundles(plan: nil) == [ids[0]] + ids[5...])
    }
    @Test("a repository that takes longer to look at than a look is good for is told, not looked at for ever")
    func tooSlow() async throws {
        let site = try await PruneSite.make()
        for day in 0..<8 { try await site.night(day, full: true) }
        #expect(try await site.prune(8).ids(.marked).count == 5)
        let failure = await #expect(throws: Failure.self) {
            try await site.prune(12, clock: HastyClock(PruneSite.moment(12), step: 1801))
        }
        #expect(failure?.code == .pruneRefused && failure?.summary.contains("30 minutes") == true)
        #expect(try await site.repository().bundles(plan: nil).count == 8)
    }
}
