// SPDX-License-Identifier: Apache-2.0
import Domain
import Retention

/// Numbers that follow from a seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// True once in `count` times.
    mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

/// A history of bundles and a policy, both by chance.
struct RandomCase {
    var bundles: [RetentionBundle]
    var policy: RetentionPolicy
    let now = Timestamp(seconds: 1_795_000_000)

    init(seed: UInt64) {
        var numbers = SeededNumbers(seed)
        policy = Self.policy(&numbers)
        bundles = Self.history(&numbers, now)
    }

    private static func rules(_ numbers: inout SeededNumbers) -> RetentionRules {
        var rules = RetentionRules()
        for period in RetentionPeriod.allCases where numbers.once(in: 3) {
            let isSpan = period != .last && numbers.once(in: 3)
            rules.periods.append(
                RetentionRule(
                    period,
                    isSpan
                        ? .seconds(Int.random(in: 3600...(400 * 86400), using: &numbers))
                        : .count(Int.random(in: 1...20, using: &numbers))))
        }
        if rules.periods.isEmpty || numbers.once(in: 4) {
            rules.within = Int.random(in: 3600...(60 * 86400), using: &numbers)
        }
        return rules
    }

    private static func policy(_ numbers: inout SeededNumbers) -> RetentionPolicy {
        var policy = RetentionPolicy(rules: rules(&numbers), minimumGood: Int.random(in: 1...6, using: &numbers))
        if numbers.once(in: 2) { policy.tags["emergency"] = rules(&numbers) }
        if numbers.once(in: 4) { policy.tags["imported"] = rules(&numbers) }
        if numbers.once(in: 4) { policy.tags["release"] = RetentionRules(isForever: true) }
        if numbers.once(in: 5) { policy.minimumProof = ProofLevel.allCases.randomElement(using: &numbers) }
        return policy
    }

    private static func history(_ numbers: inout SeededNumbers, _ now: Timestamp) -> [RetentionBundle] {
        var bundles: [RetentionBundle] = []
        let count = Int.random(in: 0...60, using: &numbers)
        let stride = Int.random(in: 900...(12 * 86400), using: &numbers)
        // Some histories end long ago, some in the future.
        var moment =
            now.seconds - Int64(numbers.once(in: 4) ? Int.random(in: -86400...(90 * 86400), using: &numbers) : 60)
        moment -= Int64(stride * count)
        var base: BundleID?
        for _ in 0..<count {
            moment += Int64(numbers.once(in: 8) ? Int.random(in: 0...stride, using: &numbers) : stride)
            let id = BundleID(
                plan: "p", started: Timestamp(seconds: moment),
                suffix: "s\(UInt32.random(in: 1000...9_999_999, using: &numbers))")
            var bundle = RetentionBundle(id: id)
            bundle.isComplete = !numbers.once(in: 6)
            bundle.hasProblems = numbers.once(in: 15)
            bundle.isReadable = !numbers.once(in: 40)
            if numbers.once(in: 12) { bundle.hold = "why" }
            if numbers.once(in: 20) { bundle.deletion = "by somebody" }
            if numbers.once(in: 10) { bundle.tags.append("emergency") }
            if numbers.once(in: 20) { bundle.tags.append("release") }
            if numbers.once(in: 3) { bundle.proven = ProofLevel.allCases.randomElement(using: &numbers) }
            if numbers.once(in: 15) {
                bundle.isImported = true
                bundle.tags.append("imported")
                bundle.at = Timestamp(seconds: moment + Int64.random(in: 0...864_000, using: &numbers))
            } else if let known = base, !numbers.once(in: 5) {
                bundle.bases = [known]
            } else {
                base = id
            }
            bundles.append(bundle)
        }
        return bundles.shuffled(using: &numbers)
    }
}
