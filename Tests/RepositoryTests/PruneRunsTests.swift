// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations
import Repository
import Retention
import TestSupport
import Testing

/// Records of runs that are older than anything the policy keeps.
@Suite("Prune: records of runs")
struct PruneRunsTests {
    private func record(_ site: PruneSite, _ kind: RunRecord.Kind, day: Int) async throws -> String {
        let id = BundleID(plan: "nightly", started: PruneSite.moment(Double(day)), suffix: BundleID.randomSuffix())
        let run = RunRecord(id: id, kind: kind, isWhole: true, host: "test", tool: "salvor test")
        _ = try await site.repository().store(run, plan: site.plan)
        return RunRecord.key(id, kind)
    }

    private func records(_ site: PruneSite) async throws -> Set<String> {
        Set(try await site.keys("runs/").filter { $0.hasSuffix(".json") })
    }

    @Test("they go after the longest term and the grace time, with their signatures; the last of each kind stays")
    func old() async throws {
        let site = try await PruneSite.make()
        for day in 0..<3 { try await site.night(day, full: true) }
        var runs: [String] = []
        for day in 0..<3 { runs.append(try await record(site, .backup, day: day)) }
        let validation = try await record(site, .validate, day: 0)
        // Three days are kept, and three more are the grace time.
        #expect(try await site.prune(6.9, apply: false).removedRuns == nil, "a dry run removes nothing")
        #expect(try await site.prune(6).removedRuns == 0)
        #expect(try await site.prune(7.5).removedRuns == 2)
        #expect(try await records(site) == [runs[2], validation])
        #expect(try await site.keys("runs/").count == 4, "each with its signature")
        #expect(try await site.prune(400).removedRuns == 0)

        // Where something is kept for ever, so is its history.
        var forever = site.plan
        forever.policy = RetentionPolicy(
            rules: RetentionRules([RetentionRule(.daily, .count(3))]),
            tags: ["release": RetentionRules([], isForever: true)], minimumGood: 2, grace: 3 * 86400)
        _ = try await record(site, .validate, day: 1)
        #expect(try await site.prune(400, plan: forever).removedRuns == nil)
    }
}
