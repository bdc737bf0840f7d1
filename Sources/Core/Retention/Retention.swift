// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Decides which bundles of a plan stay. A pure function: the same bundles, policy and moment give the same decisions,
/// and deciding again on what stays removes nothing more.
///
/// - Ages count from the newest good bundle: when backups stop, nothing ages.
/// - A bundle is *good* when it is complete and no validation found problems in it. Periods are represented by their
///   newest good bundle. A period that has none keeps its newest bundle and takes no place of a good one.
/// - Bundles from the future, imported, unreadable or deleted ones take no part in the periods.
public enum Retention {
    /// Seconds by which clocks may differ before a bundle is one of the future.
    public static let clockTolerance = 300.0

    /// One decision for each bundle, oldest first.
    ///
    /// - Parameters:
    ///   - policy: nil: the plan has none, so everything stays that nobody deleted.
    ///   - now: only tells which bundles are from the future.
    public static func decide(
        _ bundles: [RetentionBundle], policy: RetentionPolicy?, now: Timestamp
    ) -> [RetentionDecision] {
        var deciding = Deciding(bundles, policy, now)
        return deciding.run()
    }
}

private struct Deciding {
    private let bundles: [RetentionBundle]
    private let policy: RetentionPolicy?
    private let now: Timestamp
    /// Indices, newest first, of the bundles that take part in the rules.
    private var taking: [Int] = []
    private var keeping: [[RetentionDecision.Reason]]
    /// For a bundle whose period another one stands for: the rule and that bundle.
    private var superseded: [(period: RetentionPeriod, by: Int)?]

    init(_ bundles: [RetentionBundle], _ policy: RetentionPolicy?, _ now: Timestamp) {
        self.bundles = bundles.sorted { ($0.at, $0.id) < ($1.at, $1.id) }
        self.policy = policy
        self.now = now
        keeping = Array(repeating: [], count: bundles.count)
        superseded = Array(repeating: nil, count: bundles.count)
    }

    mutating func run() -> [RetentionDecision] {
        for index in bundles.indices.reversed() { keepBySelf(index) }
        if let policy { apply(policy) }
        keepBases()
        return bundles.indices.map { index in
            let isKept = !keeping[index].isEmpty
            return RetentionDecision(
                bundle: bundles[index].id, action: isKept ? .keep : .remove,
                reasons: isKept ? keeping[index] : [removal(index)], isGood: counts(index))
        }
    }

    /// Reasons that lie in the bundle alone.
    private mutating func keepBySelf(_ index: Int) {
        let bundle = bundles[index]
        if let hold = bundle.hold { keep(index, "hold", "held: \(hold)") }
        if let until = bundle.sparedUntil, until > now {
            keep(index, "base", "until \(until) runs that may only put can still refer to it")
        }
        if bundle.deletion != nil { return }
        if !bundle.isReadable {
            keep(index, "unreadable", "its manifest does not count: look at it, then delete it by its id")
        } else if policy == nil {
            keep(index, "no-policy", "the plan has no retention")
        } else if isFuture(index) {
            keep(index, "future", "dated in the future: it takes part when its time has come")
        } else {
            taking.append(index)
        }
    }

    private mutating func apply(_ policy: RetentionPolicy) {
        guard let newest = taking.first(where: { isGood($0) && !bundles[$0].isImported }) else {
            for index in taking { keep(index, "nothing-good", "there is no good bundle: nothing ages") }
            return
        }
        let reference = bundles[newest].at
        let own = taking.filter { !bundles[$0].isImported }
        let imported = taking.filter { bundles[$0].isImported }
        apply(
            policy.rules, to: own.filter { index in !bundles[index].tags.contains { policy.tags[$0] != nil } },
            reference)
        for (tag, rules) in policy.tags.sorted(by: { $0.key < $1.key }) where tag != Self.importedTag {
            apply(rules, to: own.filter { bundles[$0].tags.contains(tag) }, reference, tag: tag)
        }
        if let rules = policy.tags[Self.importedTag] {
            apply(rules, to: imported, reference, tag: Self.importedTag)
        } else {
            for index in imported { keep(index, "imported", "imported: stays until it is deleted") }
        }
        for (rank, index) in own.filter({ counts($0) }).prefix(policy.minimumGood).enumerated() {
            keep(index, "minimum-good", "good bundle \(rank + 1) of the \(policy.minimumGood) that always stay")
        }
    }

    private mutating func apply(
        _ rules: RetentionRules, to group: [Int], _ reference: Timestamp, tag: String? = nil
    ) {
        let prefix = tag.map { "tag \($0): " } ?? ""
        for index in group {
            if rules.isForever { keep(index, "forever", "\(prefix)for ever") }
            if let within = rules.within, age(index, reference) <= Double(within) {
                keep(index, "within", "\(prefix)within \(Self.span(within)) of the newest good one")
            }
        }
        for rule in rules.periods { apply(rule, to: group, reference, prefix) }
    }

    /// `group` is sorted, so the bundles of a period are neighbours.
    private mutating func apply(_ rule: RetentionRule, to group: [Int], _ reference: Timestamp, _ prefix: String) {
        var used = 0
        var start = 0
        while start < group.count {
            var end = start + 1
            if let number = rule.period.number(of: bundles[group[start]].at) {
                while end < group.count, rule.period.number(of: bundles[group[end]].at) == number { end += 1 }
            }
            let members = group[start..<end]
            start = end
            guard let newest = members.first else { continue }
            let best = members.first(where: { isGood($0) }) ?? newest
            switch rule.extent {
            case .count(let count):
                guard used < count else { return }
                if isGood(best) { used += 1 }
            case .seconds(let seconds):
                guard age(best, reference) <= Double(seconds) else { continue }
            }
            let number = if case .count = rule.extent { isGood(best) ? " \(used)" : "" } else { "" }
            let name = rule.period == .last ? "" : ", \(rule.period.name(of: bundles[best].at))"
            let doubt = isGood(best) ? "" : rule.period == .last ? " (not good)" : " (no good one there)"
            keep(best, rule.period.rawValue, "\(prefix)\(rule.period.rawValue)\(number)\(name)\(doubt)")
            for index in members where index != best && superseded[index] == nil {
                superseded[index] = (rule.period, best)
            }
        }
    }

    /// A base outlives every kept bundle that refers to it.
    private mutating func keepBases() {
        let places = Dictionary(bundles.indices.map { (bundles[$0].id, $0) }) { first, _ in first }
        var dependants: [Int: (count: Int, newest: Int)] = [:]
        var pending = bundles.indices.filter { !keeping[$0].isEmpty }
        var isReached = keeping.map { !$0.isEmpty }
        while let index = pending.popLast() {
            for base in Set(bundles[index].bases) {
                guard let place = places[base], place != index else { continue }
                let known = dependants[place] ?? (0, index)
                dependants[place] = (known.count + 1, max(known.newest, index))
                if !isReached[place] {
                    isReached[place] = true
                    pending.append(place)
                }
            }
        }
        for (place, found) in dependants {
            let more = found.count > 1 ? " and \(found.count - 1) more" : ""
            keep(place, "base", "base of \(bundles[found.newest].id)\(more)")
        }
    }

    private func removal(_ index: Int) -> RetentionDecision.Reason {
        if let deletion = bundles[index].deletion { return .init("deleted", deletion) }
        guard let found = superseded[index] else { return .init("expired", "beyond every rule") }
        return .init(
            "superseded",
            "\(bundles[found.by].id) stands for \(found.period.name(of: bundles[found.by].at)) (\(found.period.rawValue))"
        )
    }

    private mutating func keep(_ index: Int, _ code: String, _ text: String) {
        keeping[index].append(.init(code, text))
    }

    private func isFuture(_ index: Int) -> Bool { bundles[index].at.seconds(since: now) > Retention.clockTolerance }

    private func isGood(_ index: Int) -> Bool {
        let bundle = bundles[index]
        return bundle.isComplete && !bundle.hasProblems && bundle.isReadable
    }

    /// Whether it counts towards `minimum-good`.
    private func counts(_ index: Int) -> Bool {
        let bundle = bundles[index]
        guard isGood(index), !bundle.isImported, bundle.deletion == nil, !isFuture(index) else { return false }
        guard let level = policy?.minimumProof else { return true }
        return bundle.proven.map { $0 >= level } ?? false
    }

    private func age(_ index: Int, _ reference: Timestamp) -> Double { reference.seconds(since: bundles[index].at) }

    private static let importedTag = "imported"

    private static func span(_ seconds: Int) -> String {
        seconds % 86400 == 0 ? "\(seconds / 86400)d" : seconds % 3600 == 0 ? "\(seconds / 3600)h" : "\(seconds)s"
    }
}
