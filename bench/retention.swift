// SPDX-License-Identifier: Apache-2.0
import Domain
import Retention

/// Decides about so many bundles by every kind of rule, and prints how long it takes.
let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 100_000
let end = Timestamp(seconds: 1_795_000_000)
var base: BundleID?
let bundles = (0..<count).map { index -> RetentionBundle in
    let started = Timestamp(seconds: end.seconds - Int64(count - index) * 1800)
    let id = BundleID(plan: "nightly", started: started, suffix: "aaaaaa")
    var bundle = RetentionBundle(id: id, isComplete: index % 17 != 0)
    if index % 29 == 0 { bundle.tags = ["emergency"] }
    if index % 1001 == 0 { bundle.hold = "why" }
    if index % 30 == 0 { base = id } else { bundle.bases = [base].compactMap { $0 } }
    return bundle
}
let rules = RetentionRules(
    RetentionPeriod.allCases.map { RetentionRule($0, .count($0 == .yearly ? 20 : 500)) }, within: 30 * 86400)
let policy = RetentionPolicy(rules: rules, tags: ["emergency": RetentionRules(within: 90 * 86400)])
let clock = ContinuousClock()
var kept = 0
let times = (0..<5).map { _ in
    clock.measure {
        kept = Retention.decide(bundles, policy: policy, now: end).filter { $0.action == .keep }.count
    }
}
print("\(count) bundles, \(kept) kept: \(times.sorted()[times.count / 2]) (median of \(times.count))")
