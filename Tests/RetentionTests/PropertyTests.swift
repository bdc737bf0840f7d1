// SPDX-License-Identifier: Apache-2.0
import Domain
import Retention
import Testing

@Suite("Decisions about random histories")
struct PropertyTests {
    private struct Decided {
        var bundle: RetentionBundle
        var decision: RetentionDecision
        var isKept: Bool { decision.action == .keep }
    }

    private func decide(_ example: RandomCase) -> [Decided] {
        let bundles = Dictionary(uniqueKeysWithValues: example.bundles.map { ($0.id, $0) })
        return Retention.decide(example.bundles, policy: example.policy, now: example.now).compactMap { decision in
            bundles[decision.bundle].map { Decided(bundle: $0, decision: decision) }
        }
    }

    @Test(
        "ten thousand: nothing a rule keeps is removed, the floor holds, deciding again removes nothing more",
        arguments: 0..<10)
    func properties(_ part: Int) {
        for seed in UInt64(part * 1000)..<UInt64(part * 1000 + 1000) {
            let example = RandomCase(seed: seed)
            let decided = decide(example)
            var problems = checkWhole(example, decided)
            problems += checkEach(example, decided) + checkFloor(example, decided) + checkStable(example, decided)
            #expect(problems.isEmpty, "seed \(seed): \(problems.joined(separator: "; "))")
        }
    }

    private func checkWhole(_ example: RandomCase, _ decided: [Decided]) -> [String] {
        var problems: [String] = []
        if Set(decided.map(\.bundle.id)) != Set(example.bundles.map(\.id)) { problems.append("a bundle is missing") }
        if decided.contains(where: { $0.decision.reasons.isEmpty || $0.decision.reasons.contains { $0.text.isEmpty } })
        {
            problems.append("a decision without a reason")
        }
        return problems
    }

    /// What can be said of a bundle without knowing how the decision is made.
    private func checkEach(_ example: RandomCase, _ decided: [Decided]) -> [String] {
        let kept = decided.filter(\.isKept)
        let needed = Set(kept.flatMap(\.bundle.bases))
        let newestGood = good(decided, example).map(\.bundle.at).max()
        var problems: [String] = []
        for item in decided where !item.isKept {
            let bundle = item.bundle
            if bundle.hold != nil { problems.append("removed a held one") }
            if needed.contains(bundle.id) { problems.append("removed a base in use") }
            if bundle.deletion != nil { continue }
            if !bundle.isReadable { problems.append("removed an unreadable one") }
            if bundle.at.seconds(since: example.now) > Retention.clockTolerance {
                problems.append("removed a future one")
            }
            if bundle.tags.contains("release"), example.policy.tags["release"] != nil, !bundle.isImported {
                problems.append("removed a tagged one that stays for ever")
            }
            if bundle.isImported {
                if example.policy.tags["imported"] == nil { problems.append("removed an imported one") }
                continue
            }
            guard let newestGood else {
                problems.append("removed \(bundle.id) although nothing is good")
                continue
            }
            let isTagged = bundle.tags.contains { example.policy.tags[$0] != nil }
            if !isTagged, let within = example.policy.rules.within,
                newestGood.seconds(since: bundle.at) <= Double(within)
            {
                problems.append("removed one within \(within)")
            }
            if newestGood == bundle.at, bundle.isComplete, !bundle.hasProblems {
                problems.append("removed the newest good one")
            }
        }
        return problems + checkPeriods(example, decided)
    }

    /// By brute force: the newest `count` days, weeks … that have a good bundle keep one of theirs.
    private func checkPeriods(_ example: RandomCase, _ decided: [Decided]) -> [String] {
        let group = good(decided, example).filter { item in
            !item.bundle.tags.contains { example.policy.tags[$0] != nil }
        }
        var problems: [String] = []
        for rule in example.policy.rules.periods {
            guard case .count(let count) = rule.extent else { continue }
            let names = Dictionary(grouping: group) { item -> String in
                let date = item.bundle.at.calendar
                return switch rule.period {
                case .last: item.bundle.id.text
                case .hourly: "\(item.bundle.at.compact.prefix(11))"
                case .daily: "\(item.bundle.at.compact.prefix(8))"
                case .weekly: String(10_000 + (item.bundle.at.seconds + 3 * 86400) / (7 * 86400))
                case .monthly: "\(item.bundle.at.compact.prefix(6))"
                case .quarterly: "\(date.year)-\((date.month + 2) / 3)"
                case .yearly: "\(date.year)"
                }
            }
            for name in names.keys.sorted(by: >).prefix(count) {
                let newest = names[name]?.max { ($0.bundle.at, $0.bundle.id) < ($1.bundle.at, $1.bundle.id) }
                if newest?.isKept != true { problems.append("\(rule.period) \(name) lost its bundle") }
            }
        }
        return problems
    }

    private func checkFloor(_ example: RandomCase, _ decided: [Decided]) -> [String] {
        let before = decided.filter(\.decision.isGood).count
        let after = decided.filter { $0.isKept && $0.decision.isGood }.count
        return after >= min(before, example.policy.minimumGood)
            ? [] : ["the floor broke: \(after) of \(before) good ones"]
    }

    private func checkStable(_ example: RandomCase, _ decided: [Decided]) -> [String] {
        var again = example
        again.bundles = decided.filter(\.isKept).map(\.bundle)
        return decide(again).filter { !$0.isKept }.map { "the second time it removes \($0.bundle.id)" }
    }

    /// Those that may stand for a period.
    private func good(_ decided: [Decided], _ example: RandomCase) -> [Decided] {
        decided.filter {
            let bundle = $0.bundle
            return bundle.isComplete && !bundle.hasProblems && bundle.isReadable && bundle.deletion == nil
                && !bundle.isImported && bundle.at.seconds(since: example.now) <= Retention.clockTolerance
        }
    }

    @Test("the same history in another order is decided alike")
    func order() {
        for seed in UInt64(0)..<300 {
            let example = RandomCase(seed: seed)
            var other = example
            other.bundles.reverse()
            #expect(decide(example).map(\.decision) == decide(other).map(\.decision))
        }
    }
}
