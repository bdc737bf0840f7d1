// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations
import Repository
import Retention
import TestSupport
import Testing

/// The program itself, killed while it removes.
@Suite("Prune that is killed")
struct PruneKillTests {
    /// The day before today, as the tests' days count, so that a program with the real clock sees past nights.
    private static var today: Int {
        Int((SystemClock().now().seconds - PruneSite.moment(0).seconds) / 86400)
    }

    private func salvor(_ site: PruneSite) throws -> SalvorProcess {
        try site.test.directory.write(
            "plan.yaml",
            """
            plan: nightly
            repository: {store: "file://\(site.test.directory("repo"))"}
            encryption: {recipients: [\(site.test.pair.recipient)], signer: \(site.test.pair.signer)}
            sources: [{name: db, adapter: files, paths: [/nowhere]}]
            retention: {daily: 3, minimum-good: 2, grace: 3d}
            """)
        return SalvorProcess([
            "SALVOR_CONFIG": site.test.directory("plan.yaml"), "SALVOR_STATE_DIR": site.test.directory("state"),
            "GNUPGHOME": site.test.pair.keys.home, "NO_COLOR": "1",
        ])
    }

    @Test("at any moment, what is listed is whole; the next prune finishes", arguments: [UInt64(1), 2])
    func killed(_ seed: UInt64) async throws {
        let site = try await PruneSite.make()
        let first = Self.today - 20
        var days: [BundleID: Int] = [:]
        for day in 0..<12 { days[try await site.night(first + day, full: day % 4 == 0)] = first + day }
        let ids = days.keys.sorted()
        let kept = Array(ids[8...])
        #expect(try await site.prune(Double(first + 13)).ids(.marked) == Array(ids[0..<8]))
        let program = try salvor(site)

        // Moments from before the first look to after the last removal, by chance.
        var state = seed &* 0x9e37_79b9_7f4a_7c15
        var kills = 0
        for _ in 0..<8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let delay = 0.05 + Double(state >> 40) / Double(1 << 24) * 0.5
            let outcome = try await program.run(["prune", "--apply"], after: delay)
            if outcome.status == 137 { kills += 1 } else { #expect(outcome.status == 0, "\(outcome.errors)") }
            for id in try await site.repository().bundles(plan: nil) {
                let report = try await site.repository().validate(id, level: .checksum, progress: NoProgress())
                #expect(report.isProven, "after \(delay) s: \(report.problems)")
            }
        }
        #expect(kills > 0)
        let last = try await program.run(["prune", "--apply"])
        #expect(last.status == 0, "\(last.errors)\(last.output)")
        #expect(try await site.repository().bundles(plan: nil) == kept)
        #expect(try await site.keys("bundles/").allSatisfy { key in kept.contains { key.hasPrefix($0.folder) } })
        #expect(try await site.problems(days.filter { kept.contains($0.key) }) == [])
    }

    @Test("the commands: a table with reasons, JSON, refusals with 4, holds and deletions, one prune at a time")
    func commands() async throws {
        let site = try await PruneSite.make()
        let first = Self.today - 10
        var ids: [BundleID] = []
        for day in 0..<6 { ids.append(try await site.night(first + day, full: day == 3)) }
        let program = try salvor(site)
        let before = try await site.keys()
        let dry = try await program.run(["prune"])
        #expect(dry.status == 0, "\(dry.errors)")
        #expect(dry.output.contains("would mark 3") && dry.output.contains("base of \(ids[5])"), "\(dry.output)")
        #expect(dry.output.contains("add --apply"))
        #expect(try await site.keys() == before)

        #expect(try await program.run(["hold", ids[1].text, "--reason", "court order 7"]).status == 0)
        #expect(try await program.run(["delete", ids[1].text]).status == 4)
        let held = try await program.run(["prune", "nightly"])
        #expect(held.output.contains("held: court order 7") && held.output.contains("base of \(ids[1])"))
        #expect(try await program.run(["release", ids[1].text]).status == 0)
        #expect(try await program.run(["release", ids[1].text]).status == 5)

        #expect(try await program.run(["delete", ids[5].text, "--reason", "broken"]).status == 0)
        let json = try await program.run(["prune", "--json"])
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        let reports = try #require(document["result"] as? [[String: Any]])
        let entries = try #require(reports.first?["bundles"] as? [[String: Any]])
        #expect(entries.count == 6 && entries.last?["state"] as? String == "marked", "\(json.output)")
        #expect(try await program.run(["undelete", ids[5].text]).status == 0)
        #expect(try await program.run(["undelete", ids[5].text]).status == 5)

        let applied = try await program.run(["prune", "--apply"])
        #expect(applied.status == 0 && applied.output.contains("3 marked and waiting"), "\(applied.output)")
        try FileManager.default.moveItem(
            atPath: site.test.directory("repo/bundles"), toPath: site.test.directory("elsewhere"))
        let empty = try await program.run(["prune"])
        #expect(empty.status == 4 && empty.output.contains("REFUSED: the store lists no bundle"))
    }
}
