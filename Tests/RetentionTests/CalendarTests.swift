// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Retention
import Testing

@Suite("Periods of the UTC calendar")
struct CalendarTests {
    /// What represents each period, by a bundle every six hours over the turn of some years.
    @Test(
        "weeks are ISO 8601's, also over New Year; months, quarters and years turn at midnight UTC",
        arguments: [RetentionPeriod.hourly, .daily, .weekly, .monthly, .quarterly, .yearly])
    func foundation(_ period: RetentionPeriod) throws {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        func name(_ moment: Timestamp) -> [Int?] {
            let date = Date(timeIntervalSince1970: Double(moment.seconds))
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .weekOfYear, .yearForWeekOfYear], from: date)
            switch period {
            case .hourly: return [parts.year, parts.month, parts.day, parts.hour]
            case .daily: return [parts.year, parts.month, parts.day]
            case .weekly: return [parts.yearForWeekOfYear, parts.weekOfYear]
            case .monthly: return [parts.year, parts.month]
            case .quarterly: return [parts.year, parts.month.map { ($0 - 1) / 3 }]
            case .yearly, .last: return [parts.year]
            }
        }
        for start in ["1969-12-20", "2015-12-20", "2020-12-20", "2023-12-20", "2026-12-20"] {
            let first = try #require(Timestamp("\(start)T00:30:00Z"))
            let bundles = (0..<120).map { step in
                RetentionBundle(
                    id: BundleID(
                        plan: "p", started: Timestamp(seconds: first.seconds + Int64(step) * 6 * 3600), suffix: "aaaaaa"
                    ))
            }
            let policy = RetentionPolicy(rules: RetentionRules([RetentionRule(period, .count(1000))]), minimumGood: 1)
            let decided = Retention.decide(
                bundles, policy: policy, now: Timestamp(seconds: first.seconds + 200 * 86400))
            let kept = Set(decided.filter { $0.action == .keep }.map(\.bundle.started))
            let groups = Dictionary(grouping: bundles.map(\.at)) { name($0) }
            #expect(kept == Set(groups.values.compactMap { $0.max() }), "\(start)")
            guard period == .weekly else { continue }
            for item in decided where item.action == .keep {
                let parts = name(item.bundle.started).compactMap { $0 }
                let expected = "\(parts[0])-W\(parts[1] < 10 ? "0" : "")\(parts[1])"
                #expect(item.reasons.contains { $0.text.contains(expected) }, "\(item) is not of \(expected)")
            }
        }
    }

    @Test("when nights stop or fail nothing ages, and failing nights push nothing out")
    func stopping() {
        let policy = RetentionPolicy(
            rules: RetentionRules([RetentionRule(.daily, .count(7))], within: 5 * 86400), minimumGood: 2)
        func bundle(_ day: Int, isComplete: Bool = true) -> RetentionBundle {
            RetentionBundle(
                id: BundleID(
                    plan: "p", started: Timestamp(seconds: 1_790_000_000 + Int64(day) * 86400), suffix: "aaaaaa"),
                isComplete: isComplete)
        }
        let good = (0..<10).map { bundle($0) }
        for day in [10, 100, 4000] {
            let now = Timestamp(seconds: 1_790_000_000 + Int64(day) * 86400)
            let kept = Retention.decide(good, policy: policy, now: now).filter { $0.action == .keep }
            #expect(kept.map(\.bundle) == good.suffix(7).map(\.id))
        }
        let failing = good + (10..<60).map { bundle($0, isComplete: false) }
        let later = Retention.decide(failing, policy: policy, now: Timestamp(seconds: 1_790_000_000 + 60 * 86400))
        for bundle in good.suffix(7) { #expect(later.first { $0.bundle == bundle.id }?.action == .keep) }
        let partial = (0..<40).map { bundle($0, isComplete: false) }
        #expect(
            Retention.decide(partial, policy: policy, now: Timestamp(seconds: 1_799_000_000))
                .allSatisfy { $0.action == .keep && $0.reasons.map(\.code) == ["nothing-good"] })
    }
}
