// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Operations
import PlanFiles
import Repository
import Retention
import TestSupport
import Testing

/// A year of nights with a clock that is given: every night is a real bundle, every month a real prune.
@Suite("A year of nights")
struct YearTests {
    private static let nights = 365
    private static let rows = 1500
    /// Nights on which the machine was off, and one with a source that failed.
    private static let missed: Set<Int> = [40, 41, 42, 150, 333]
    private static let partial = 200

    /// The dump of a night: one row in a hundred changes each night, another ones every time.
    private static func dump(_ day: Int) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(rows * 40)
        for row in 0..<rows {
            // How often the row has changed until then: it is its turn every hundredth night.
            var state = UInt64(row) &* 0x9e37_79b9_7f4a_7c15 &+ UInt64((day + row * 37) / 100) &* 0xbf58_476d_1ce4_e5b9
            state ^= state >> 31
            state &*= 0x94d0_49bb_1331_11eb
            text.append(contentsOf: "\(row)\t\(String(state, radix: 36))\tcity \(state % 97)\n".utf8)
        }
        return text
    }

    @Test("after 365 nights exactly the days, weeks, months and years of the policy are left, whole, in bounded space")
    func year() async throws {
        let site = try await PruneSite.make(policy: try Self.policy())
        var days: [BundleID: Int] = [:]
        var fulls: UInt64 = 0
        for day in 0..<Self.nights where !Self.missed.contains(day) {
            let manifest = try await site.test.backUp(
                ["dump": Self.dump(day)], at: Int64(day) * 86400, store: site.store, failing: day == Self.partial)
            days[manifest.id] = day
            let streams = manifest.sources.flatMap(\.streams)
            if streams.contains(where: { $0.storage == .full }) { fulls += 1 }
            if day % 30 == 29 {
                let report = try await site.prune(Double(day) + 0.2)
                #expect(report.blockerCodes.isEmpty, "night \(day): \(report.blockers)")
            }
        }
        // A new full every month, not oftener: the data changes slowly.
        #expect((12...14).contains(fulls), "\(fulls) fulls")
        // One prune marks what is left over, the next removes it when the grace time is over.
        _ = try await site.prune(Double(Self.nights) - 0.5)
        _ = try await site.prune(Double(Self.nights) + 3)

        let left = try await site.repository().bundles(plan: nil)
        var expected = Self.survivors(days)
        for id in expected {
            let streams = try await site.repository().manifest(id).manifest.sources.flatMap(\.streams)
            expected.formUnion(streams.compactMap(\.base))
        }
        #expect(Set(left) == expected)
        #expect(
            try await site.keys("bundles/").allSatisfy { key in left.contains { key.hasPrefix($0.folder) } },
            "something of a removed bundle is left")
        for id in left {
            let day = try #require(days[id])
            #expect(try await site.test.read(id, "dump", with: site.repository()) == Self.dump(day), "night \(day)")
        }
        // What stays costs less than one full for each month and year that stays.
        let first = try #require(days.min { $0.value < $1.value }?.key)
        let stored = try await Self.bytes(of: left, site)
        let night = Self.dump(0).count
        #expect(left.contains(first) == false)
        #expect(stored < UInt64(night * 14), "\(stored) bytes are stored, a dump has \(night)")
    }

    private static func policy() throws -> RetentionPolicy {
        let plan = """
            plan: nightly
            repository: {store: "file:///r"}
            encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
            sources: [{name: config, adapter: files, paths: [/etc/app]}]
            retention: gfs
            """
        let document = try YAMLDocument.parse(plan, file: "/nowhere/plan.yaml")
        return try #require(try PlanReader(adapters: ["files"]).plan(document).policy)
    }

    /// What `retention/gfs.yaml` says in words, worked out from the days alone: two weeks of days, eight of weeks, twelve of
    /// months, five of years, the newest good bundle each, and the last 48 hours.
    private static func survivors(_ days: [BundleID: Int]) -> Set<BundleID> {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = .gmt
        let newestFirst = days.filter { $0.value != partial }.sorted { $0.value > $1.value }.map(\.key)
        func date(_ id: BundleID) -> Date { Date(timeIntervalSince1970: TimeInterval(id.started.seconds)) }
        var kept: Set<BundleID> = []
        let periods: [(count: Int, parts: Set<Calendar.Component>)] = [
            (14, [.year, .month, .day]), (8, [.yearForWeekOfYear, .weekOfYear]), (12, [.year, .month]), (5, [.year]),
        ]
        for (count, parts) in periods {
            var seen: [DateComponents] = []
            for id in newestFirst {
                let period = calendar.dateComponents(parts, from: date(id))
                if seen.contains(period) { continue }
                seen.append(period)
                if seen.count > count { break }
                kept.insert(id)
            }
        }
        if let newest = newestFirst.first {
            kept.formUnion(newestFirst.filter { date(newest).timeIntervalSince(date($0)) <= 48 * 3600 })
        }
        return kept
    }

    private static func bytes(of bundles: [BundleID], _ site: PruneSite) async throws -> UInt64 {
        var total: UInt64 = 0
        for key in try await site.keys("bundles/") where bundles.contains(where: { key.hasPrefix($0.folder) }) {
            total += try await site.store.size(of: key) ?? 0
        }
        return total
    }
}
