// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations
import Repository
import Retention
import Stores
import TestSupport
import Testing

/// Bundles whose time is over and that an object lock keeps, in a bucket that really locks.
@Suite("Prune: object lock")
struct PruneLockTests {
    /// The day before today, as the tests' days count: locks end by the real clock.
    private static var today: Int {
        Int((SystemClock().now().seconds - PruneSite.moment(0).seconds) / 86400)
    }

    private struct Envelope: Decodable {
        struct Report: Decodable {
            struct Entry: Decodable {
                struct Decision: Decodable { var bundle: String }
                struct Lock: Decodable { var until: String?; var held: Bool }
                var decision: Decision
                var state: String
                var retained: String?
                var lock: Lock?
            }
            var bundles: [Entry]
        }
        var result: [Report]
    }

    private struct Runs: Decodable {
        struct Result: Decodable { var runs: [RunRecord] }
        var result: Result
    }

    @Test("what a lock keeps is retained until a date, in the report, in the record and in the table, and is no error")
    func retained() async throws {
        let site = try await PruneSite.make(.seaweed, lockDays: 10)
        let first = Self.today - 20
        var ids: [BundleID] = []
        for day in 0..<5 { ids.append(try await site.night(first + day, full: true)) }
        #expect(try await site.prune(Double(first + 5)).ids(.marked) == [ids[0], ids[1]])
        let before = try await site.keys("bundles/")

        // The plan does not say that the bucket locks: the store does.
        let early = try await site.prune(Double(Self.today))
        #expect(early.ids(.retained) == [ids[0], ids[1]] && early.hasRetained && !early.hasRefused)
        let entry = try #require(early.bundles.first)
        let until = try #require(entry.lock?.until)
        #expect(abs(until.seconds - SystemClock().now().seconds - 10 * 86400) < 600, "\(until)")
        #expect(entry.retained == "retained until \(until)")
        #expect(early.retained.map(\.bundle) == [ids[0], ids[1]] && early.retained.first?.until == until)
        #expect(try await site.keys("bundles/") == before, "nothing was hidden")

        let program = try site.salvor(retention: "{daily: 3, minimum-good: 2, grace: 3d}")
        let table = try await program.run(["prune", "--apply"])
        #expect(table.status == 0, "\(table.errors)\(table.output)")
        #expect(
            table.output.contains("RETAINED") && table.output.contains("retained until \(until)"), "\(table.output)")
        #expect(table.output.contains("2 retained by the store"))
        let json = try await program.run(["prune", "--apply", "--json"])
        let report = try #require(
            try JSONDecoder().decode(Envelope.self, from: Data(json.output.utf8)).result.first)
        #expect(report.bundles.filter { $0.state == "retained" }.map(\.decision.bundle) == ids[..<2].map(\.text))
        #expect(report.bundles.first?.lock?.until == until.description && report.bundles.first?.lock?.held == false)
        #expect(try await site.keys("bundles/") == before)

        let runs = try await program.run(["list-runs", "--kind", "prune", "--json"])
        let record = try #require(
            try JSONDecoder().decode(Runs.self, from: Data(runs.output.utf8)).result.runs.last, "\(runs.output)")
        #expect(record.outcome == .ok && record.retained?.map(\.bundle) == [ids[0], ids[1]])
        #expect(record.retained?.first?.until == until)
        let shown = try await program.run(["list-runs", "--kind", "prune"])
        #expect(shown.output.contains("\(ids[0]) is still there: retained until \(until)"), "\(shown.output)")

        let late = try await site.prune(Double(Self.today + 12))
        #expect(late.ids(.removed) == [ids[0], ids[1]], "\(late)")
        #expect(try await site.keys("bundles/").allSatisfy { key in ids[2...].contains { key.hasPrefix($0.folder) } })
    }

    @Test("doctor tells whether the bucket locks, and what that means for the plan")
    func doctor() async throws {
        let locked = try await PruneSite.make(.seaweed, lockDays: 10)
        var program = try locked.salvor(retention: "{daily: 60}", s3: "object-lock: {mode: governance, days: 40}")
        var told = try await program.run(["doctor"]).output
        #expect(told.contains("object lock of the bucket: on"), "\(told)")
        #expect(told.contains("object lock: 40 of the 60 days"), "\(told)")
        program = try locked.salvor(retention: "{daily: 60}")
        told = try await program.run(["doctor"]).output
        #expect(told.contains("WARNING  object lock of the bucket: on, but nothing is locked"), "\(told)")

        let plain = try await PruneSite.make(.seaweed)
        told = try await plain.salvor(retention: "{daily: 60}").run(["doctor"]).output
        #expect(told.contains("object lock of the bucket: off: whoever may delete"), "\(told)")
        program = try plain.salvor(retention: "{daily: 60}", s3: "object-lock: {mode: governance, days: 40}")
        let outcome = try await program.run(["doctor"])
        #expect(outcome.status == 10 && outcome.output.contains("FAILED   object lock of the bucket: it is off"))
    }
}
