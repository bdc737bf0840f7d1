// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Operations
import Repository
import Retention
import TestSupport
import Testing

@Suite("Prune would rather keep too much")
struct PruneRefusalTests {
    /// Six nights of which three were marked long ago: everything is ready for their removal.
    private func marked() async throws -> (site: PruneSite, ids: [BundleID]) {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<6 { ids.append(try await site.night(day, full: true)) }
        #expect(try await site.prune(6).ids(.marked).count == 3)
        return (site, ids)
    }

    private func expectRefused(
        _ site: PruneSite, _ codes: [String], faulty: FaultyStore? = nil, plan: Plan? = nil,
        _ comment: Comment? = nil
    ) async throws {
        let before = try await site.keys()
        let report = try await site.prune(20, faulty: faulty, plan: plan)
        #expect(report.blockerCodes == codes, comment)
        #expect(report.blockers.allSatisfy { !$0.remedy.isEmpty })
        #expect(try await site.keys() == before, comment)
        try faulty?.requireAllHit()
    }

    @Test("an empty listing, one that shrank, and one that shrinks while it works, are not believed")
    func listings() async throws {
        let (site, ids) = try await marked()
        try await expectRefused(
            site, ["listing-empty"], faulty: FaultyStore(site.store, [.init(.list, "bundles/nightly/", .listNothing)]))
        try await expectRefused(
            site, ["listing-shrank"],
            faulty: FaultyStore(site.store, [.init(.list, "bundles/nightly/", .hide(ids[4].text))]))
        // The second look, right before removing.
        let late = FaultyStore(site.store, [])
        late.plan(.init(.list, "bundles/nightly/", .hide("no such bundle")))
        late.plan(.init(.list, "bundles/nightly/", .hide(ids[5].text)))
        try await expectRefused(site, ["listing-shrank"], faulty: late)
        // Hidden records hide marks: nothing is due, and nothing that is gone is unexplained.
        let blind = FaultyStore(site.store, [.init(.list, "prunes/nightly/", .listNothing)])
        #expect(try await site.prune(20, apply: false, faulty: blind).ids(.due) == [])
        #expect(try await site.prune(20).ids(.removed) == Array(ids[0..<3]))
    }

    @Test("a bundle that vanished is noticed until somebody accepts it")
    func vanished() async throws {
        let (site, ids) = try await marked()
        for key in try await site.keys(ids[3].folder + "/") { try await site.store.delete(key) }
        try await expectRefused(site, ["listing-shrank"])
        let accepted = try await site.prune(20, forget: true)
        #expect(accepted.blockers.isEmpty && accepted.ids(.kept).count >= 2)
        #expect(try await site.prune(20.1).blockers.isEmpty)
    }

    @Test("after a failed, killed or partial last run nothing is removed")
    func lastRun() async throws {
        let (site, _) = try await marked()
        let state = StateDirectory(site.test.directory("state"))
        let history = RunHistoryFiles(state, plan: "nightly")
        func run(_ day: Double, _ code: Failure.Code? = nil, isWhole: Bool = true) -> RunRecord {
            var record = RunRecord(
                id: BundleID(plan: "nightly", started: PruneSite.moment(day), suffix: "aaaaaa"), kind: .backup,
                isWhole: isWhole, host: "h", tool: "t")
            record.failure = code.map { RecordedFailure(Failure($0, "no")) }
            record.outcome = code == nil ? .ok : .failed
            return record
        }
        try history.keep(run(19, .sourceFailed))
        try await expectRefused(site, ["last-run-failed"])
        try history.keep(run(19.1, isWhole: false))
        try await expectRefused(site, ["last-run-failed"], "a run of one source says nothing")
        try history.keep(run(19.2))
        try history.begin(run(19.5))
        try await expectRefused(site, ["last-run-failed"], "it died")
        // Looking takes no lock that a run which begins this moment needs.
        #expect(!FileManager.default.fileExists(atPath: site.test.directory("state/locks/nightly.lock")))
        do {
            // A run that is under way is no failure.
            let lock = try PlanLock(state, plan: "nightly")
            #expect(try await site.prune(20, apply: false).blockers.isEmpty)
            withExtendedLifetime(lock) {}
        }
        try history.keep(run(19.6))
        try await site.night(7, failing: true)
        try await expectRefused(site, ["last-run-failed"], "it is partial")
        try await site.night(8)
        #expect(try await site.prune(20).ids(.removed).count == 3)
    }

    @Test("a manifest that does not count stops it, until that bundle is given up")
    func unreadable() async throws {
        let (site, ids) = try await marked()
        let key = "\(ids[4].folder)/manifest.json"
        let text = String(decoding: try await site.store.get(key), as: UTF8.self)
        try await site.store.put(key, Array(text.replacingOccurrences(of: "test", with: "tess").utf8))
        try await expectRefused(site, ["unreadable"])
        let (marks, request) = site.marks(20)
        _ = try await marks.delete(ids[4], request)
        #expect(try await site.prune(20).blockers.isEmpty)
        #expect(try await site.prune(24).ids(.removed) == [ids[4]])
        #expect(try await site.problems([ids[3]: 3, ids[5]: 5]) == [])
    }

    @Test("too few good bundles, or none that today's recipients can open, stop it")
    func survivors() async throws {
        let (site, _) = try await marked()
        var proven = site.plan
        proven.policy?.minimumProof = .contents
        try await expectRefused(site, ["minimum-good"], plan: proven)
        var other = site.plan
        other.encryption.recipients = [try await site.test.pair.keys.add("New <new@example.com>", for: .encryption)]
        try await expectRefused(site, ["recipients"], plan: other)
        other.encryption.recipients += site.plan.encryption.recipients
        #expect(try await site.prune(20, plan: other).ids(.removed).count == 3)
    }

    @Test("what the store does not let go is retained whole, and goes later")
    func denied() async throws {
        let (site, ids) = try await marked()
        let locked = Failure(.storageDenied, "the object is locked")
        let manifest = FaultyStore(site.store, [.init(.delete, "\(ids[1].text)/manifest.json", .fail(locked))])
        let first = try await site.prune(20, faulty: manifest)
        try manifest.requireAllHit()
        #expect(first.ids(.removed) == [ids[0], ids[2]] && first.ids(.retained) == [ids[1]] && first.hasRetained)
        #expect(try await site.problems([ids[1]: 1]) == [])

        let segment = FaultyStore(site.store, [.init(.delete, "\(ids[1].text)/db/", .fail(locked))])
        let second = try await site.prune(20, faulty: segment)
        try segment.requireAllHit()
        #expect(second.ids(.removed) == [ids[1]] && second.leftovers.map(\.state) == [.retained])
        #expect(try await site.keys(ids[1].folder + "/").count == 1)
        // Its rest needs no second grace time.
        let third = try await site.prune(20.1)
        #expect(third.leftovers.map(\.state) == [.removed])
        #expect(try await site.keys(ids[1].folder + "/").isEmpty)
        #expect(try await site.problems([ids[3]: 3, ids[4]: 4, ids[5]: 5]) == [])
    }

    @Test("a base stays as long as a bundle that refers to it could not be removed")
    func deniedDependant() async throws {
        let site = try await PruneSite.make()
        var ids: [BundleID] = []
        for day in 0..<7 { ids.append(try await site.night(day, full: day == 3)) }
        _ = try await site.prune(7)
        let faulty = FaultyStore(
            site.store,
            [.init(.delete, "\(ids[2].text)/manifest.json", .fail(Failure(.storageDenied, "the object is locked")))])
        let report = try await site.prune(20, faulty: faulty)
        #expect(report.ids(.retained) == [ids[0], ids[2]] && report.ids(.removed) == [ids[1]])
        #expect(try await site.problems([ids[0]: 0, ids[2]: 2]) == [])
    }

    @Test("a store that goes away in the middle fails it, and the next one finishes", arguments: [0, 3, 5])
    func unreachable(_ seed: Int) async throws {
        let (site, ids) = try await marked()
        // One delete after the other succeeds until the store is gone.
        let parts = ["manifest.json", "manifest.json.sig", "segments.tsv", "contents.gpg", "000000", "000001"]
        let bundle = ids[seed % 3].text
        let gone = FaultyStore(
            site.store, [.init(.delete, "\(bundle)/", .failAfterwards(Failure(.storageUnreachable, "gone")))])
        if seed >= 3 {
            gone.plan(.init(.delete, parts[seed], .fail(Failure(.storageUnreachable, "gone"))))
        }
        await #expect { try await site.prune(20, faulty: gone) } throws: {
            ($0 as? Failure)?.code == .storageUnreachable
        }
        let kept: [BundleID: Int] = [ids[3]: 3, ids[4]: 4, ids[5]: 5]
        #expect(try await site.problems(kept) == [])
        // Whatever is listed is whole.
        for id in try await site.repository().bundles(plan: nil) {
            #expect(try await site.repository().validate(id, level: .checksum, progress: NoProgress()).isProven)
        }
        _ = try await site.prune(20.1)
        #expect(try await site.repository().bundles(plan: nil) == Array(ids[3...]))
        #expect(try await site.keys("bundles/").allSatisfy { key in ids[3...].contains { key.hasPrefix($0.folder) } })
        #expect(try await site.problems(kept) == [])
    }
}
