// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Operations
import Repository
import Retention
import TestSupport
import Testing

@Suite("Prune")
struct PruneTests {
    @Test(
        "marks, waits, removes; what stays is whole, its bases with it, and no gap is called a break",
        arguments: PruneSite.Place.allCases)
    func whole(_ place: PruneSite.Place) async throws {
        let site = try await PruneSite.make(place)
        var days: [BundleID: Int] = [:]
        for day in 0..<9 { days[try await site.night(day, full: day == 5)] = day }
        let ids = days.keys.sorted()
        let before = try await site.keys()

        let dry = try await site.prune(9, apply: false)
        #expect(dry.blockers.isEmpty && dry.ids(.unmarked) == Array(ids[0..<5]), "\(dry)")
        #expect(dry.reasons(ids[5]) == ["base"] && dry.ids(.kept) == Array(ids[5...]))
        #expect(try await site.keys() == before)

        let marking = try await site.prune(9)
        #expect(marking.ids(.marked) == Array(ids[0..<5]))
        #expect(try await site.keys("bundles/") == before.filter { $0.hasPrefix("bundles/") })
        #expect(try await site.prune(11.9).ids(.marked) == Array(ids[0..<5]))
        #expect(try await site.prune(12.1, apply: false).ids(.due) == Array(ids[0..<5]))
        #expect(try await site.keys("bundles/") == before.filter { $0.hasPrefix("bundles/") })

        let removing = try await site.prune(12.1)
        #expect(removing.ids(.removed) == Array(ids[0..<5]) && removing.leftovers.isEmpty)
        #expect(try await site.repository().bundles(plan: nil) == Array(ids[5...]))
        for id in ids[0..<5] { #expect(try await site.keys(id.folder + "/").isEmpty) }
        #expect(try await site.problems(days.filter { ids[5...].contains($0.key) }) == [])

        // A second time there is nothing to do, and the next night goes on from here.
        let again = try await site.prune(12.2)
        #expect(again.blockers.isEmpty && again.ids(.kept) == Array(ids[5...]))
        let next = try await site.night(13)
        #expect(try await site.problems([next: 13]) == [])
    }

    @Test("a mark explains only the manifest it was made for, and only when it is signed by a trusted key")
    func explained() async throws {
        let site = try await PruneSite.make()
        for day in 0..<6 { try await site.night(day, full: true) }
        let ids = try await site.repository().bundles(plan: nil)
        _ = try await site.prune(6)
        _ = try await site.prune(10)
        func codes() async throws -> [String] {
            try await site.repository().validate(ids[3], level: .presence, progress: NoProgress()).problems.map(\.code)
        }
        #expect(try await codes() == [])
        let record = try #require(try await site.keys("prunes/nightly/\(ids[2])/").first { $0.hasSuffix(".json") })
        let signature = try await site.store.get(record + ".sig")
        try await site.store.delete(record + ".sig")
        #expect(try await codes() == ["integrity.chain"])
        try await site.store.put(record + ".sig", signature)
        let text = String(decoding: try await site.store.get(record), as: UTF8.self)
        try await site.store.put(record, Array(text.replacingOccurrences(of: "pruner", with: "prunes").utf8))
        #expect(try await codes() == ["integrity.chain"])
        try await site.store.put(record, Array(text.utf8))
        #expect(try await codes() == [])
        // Another bundle's record says nothing of this one.
        let other = try #require(try await site.keys("prunes/nightly/\(ids[1])/").first { $0.hasSuffix(".json") })
        for end in ["", ".sig"] { try await site.store.put(record + end, try await site.store.get(other + end)) }
        #expect(try await codes() == ["integrity.chain"])
    }

    @Test("holds last until released, deletions until the grace time ends, and each is refused where it would hurt")
    func marks() async throws {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<6 { ids.append(try await site.night(day, full: day == 3)) }
        let (marks, request) = site.marks(6)
        _ = try await marks.hold(ids[1], request)
        await #expect { try await marks.delete(ids[1], request) } throws: { ($0 as? Failure)?.code == .bundleHeld }
        // A base that others need.
        await #expect { try await marks.delete(ids[3], request) } throws: { ($0 as? Failure)?.code == .pruneRefused }
        await #expect { try await marks.release(ids[2], request) } throws: {
            ($0 as? Failure)?.code == .nothingSelected
        }
        _ = try await marks.delete(ids[5], request)
        let report = try await site.prune(6)
        // The base of what is held stays with it; the deleted one waits, and the one before it takes its place.
        #expect(report.reasons(ids[1]) == ["hold"] && report.reasons(ids[0]) == ["base"])
        #expect(report.reasons(ids[5]) == ["deleted"] && report.ids(.marked) == [ids[5]], "\(report.bundles)")
        _ = try await marks.undelete(ids[5], request)
        #expect(try await site.prune(10).ids(.removed) == [])

        _ = try await marks.release(ids[1], request)
        #expect(try await site.prune(10).ids(.marked) == [ids[0], ids[1], ids[2]])
        #expect(try await site.prune(14).ids(.removed) == [ids[0], ids[1], ids[2]])
        // Three are left, of which two must stay.
        let (later, again) = site.marks(14)
        _ = try await later.delete(ids[4], again)
        await #expect { try await later.delete(ids[5], again) } throws: { ($0 as? Failure)?.code == .pruneRefused }
        #expect(try await site.prune(18).ids(.removed) == [ids[4]])
        #expect(try await site.problems([ids[3]: 3, ids[5]: 5]) == [])
    }

    @Test("a forged hold protects, a forged release or mark does nothing")
    func forged() async throws {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<6 { ids.append(try await site.night(day, full: true)) }
        func forge(_ id: BundleID, _ kind: String, _ day: Double) async throws {
            let track = ["hold", "release"].contains(kind) ? "holds" : "prunes"
            try await site.store.put(
                "\(track)/nightly/\(id)/\(PruneSite.moment(day).compact)-\(kind)-abcdef.json", Array("{}".utf8))
        }
        let (marks, request) = site.marks(6)
        _ = try await marks.hold(ids[0], request)
        try await forge(ids[0], "release", 6.5)
        try await forge(ids[1], "hold", 6)
        try await forge(ids[2], "expired", 1)
        try await forge(ids[5], "deleted", 1)
        let report = try await site.prune(7)
        #expect(report.ids(.kept) == [ids[0], ids[1], ids[3], ids[4], ids[5]] && report.ids(.marked) == [ids[2]])
        #expect(report.notes.count == 4, "\(report.notes)")
        #expect(try await site.prune(7.1).ids(.marked) == [ids[2]])
    }

    @Test("when the policy keeps again what was marked, the mark is taken back and the next one waits its whole time")
    func changedMind() async throws {
        let site = try await PruneSite.make()
        for day in 0..<6 { try await site.night(day, full: true) }
        var generous = site.plan
        generous.policy?.rules = RetentionRules([RetentionRule(.daily, .count(10))])
        #expect(try await site.prune(6).ids(.marked).count == 3)
        #expect(try await site.prune(20, plan: generous).ids(.kept).count == 6)
        let third = try await site.prune(21)
        #expect(third.ids(.marked).count == 3 && third.ids(.removed) == [])
        #expect(try await site.prune(23).ids(.marked).count == 3)
        #expect(try await site.prune(24.1).ids(.removed).count == 3)
    }

    @Test("a plan without retention keeps everything but what was deleted")
    func noPolicy() async throws {
        var site = try await PruneSite.make()
        site.plan.policy = nil
        var ids: [BundleID] = []
        for day in 0..<4 { ids.append(try await site.night(day, full: true)) }
        #expect(try await site.prune(300).ids(.kept) == ids)
        let (marks, request) = site.marks(301)
        _ = try await marks.delete(ids[1], request)
        #expect(try await site.prune(303).ids(.marked) == [ids[1]])
        #expect(try await site.prune(305).ids(.removed) == [ids[1]])
    }

    @Test("what a dead run left goes after seven days, not before")
    func deadRuns() async throws {
        let site = try await PruneSite.make()
        for day in 0..<3 { try await site.night(day, full: true) }
        let dead = BundleID(plan: "nightly", started: PruneSite.moment(1.5), suffix: "deadaa")
        try await site.store.put("\(dead.folder)/db/dump/000000.zst.gpg", [1, 2, 3])
        try await site.store.put("\(dead.folder)/segments.tsv", [1])
        let early = try await site.prune(8.4)
        #expect(early.leftovers.map(\.state) == [.kept] && early.leftovers[0].due == PruneSite.moment(8.5))
        #expect(try await site.prune(8.6).leftovers.map(\.state) == [.removed])
        #expect(try await site.keys(dead.folder).isEmpty)
        #expect(try await site.repository().bundles(plan: nil).count == 3)
    }
}
