// SPDX-License-Identifier: Apache-2.0
import Domain
import PlanFiles
import Retention

/// What a year of nights leaves in a repository, by the rules that Salvor runs by (`RebaseRule`, `Retention.decide`), for a
/// dump whose full is one unit and of which a share of the rows, chosen anew each night, changes. A delta costs what the rows
/// changed since its base cost in a full: windows and headers are left out, they are below a hundredth.
let nights = 365
let day: Int64 = 86400
let zero: Int64 = 1_790_000_000
/// Bytes of a full: the rule has a floor of one MiB, far below it.
let full = 10_000_000_000.0

struct Night {
    let id: BundleID
    let base: BundleID?
    let bytes: Double
}

struct Year {
    var fulls = 0
    var made = 0.0
    var peak = 0.0
    var end = 0.0
    var bundles = 0
}

func policy(_ name: String) throws -> RetentionPolicy {
    let text = """
        plan: p
        repository: {store: "file:///r"}
        encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
        sources: [{name: config, adapter: files, paths: [/etc/app]}]
        retention: \(name)
        """
    let plan = try PlanReader(adapters: ["files"]).plan(try YAMLDocument.parse(text, file: "/nowhere/plan.yaml"))
    guard let policy = plan.policy else { throw Failure(.configuration, "no policy '\(name)'") }
    return policy
}

/// Every night a bundle, every morning a prune that marks, and removes what was marked a grace time before.
func year(_ policy: RetentionPolicy, changing rate: Double) -> Year {
    var result = Year()
    var kept: [Night] = []
    var marked: [BundleID: Timestamp] = [:]
    var base: Night?
    var lastDelta: UInt64?
    var unchanged = 1.0
    for number in 0..<nights {
        let now = Timestamp(seconds: zero + Int64(number) * day)
        let id = BundleID(plan: "p", started: now, suffix: "aaaaaa")
        unchanged *= 1 - rate
        let night: Night
        if let base,
            RebaseRule.isUsable(
                taken: base.id.started, storedBytes: UInt64(full), lastDeltaBytes: lastDelta, at: now)
        {
            night = Night(id: id, base: base.id, bytes: full * (1 - unchanged))
            lastDelta = UInt64(night.bytes)
        } else {
            night = Night(id: id, base: nil, bytes: full)
            (base, lastDelta, unchanged) = (night, nil, 1)
            result.fulls += 1
        }
        result.made += night.bytes / full
        kept.append(night)
        let bundles = kept.map { night -> RetentionBundle in
            var bundle = RetentionBundle(id: night.id)
            bundle.bases = [night.base].compactMap { $0 }
            return bundle
        }
        var leaving: [BundleID: Timestamp] = [:]
        for decision in Retention.decide(bundles, policy: policy, now: now) where decision.action == .remove {
            leaving[decision.bundle] = marked[decision.bundle] ?? now
        }
        marked = leaving
        kept.removeAll { night in marked[night.id].map { now.seconds(since: $0) >= Double(policy.grace) } ?? false }
        result.end = kept.reduce(0) { $0 + $1.bytes } / full
        result.peak = max(result.peak, result.end)
    }
    result.bundles = kept.count
    return result
}

func text(_ value: Double) -> String { String((value * 10).rounded() / 10) }

print("| policy | rows changed a night | bundles left | fulls made in the year | stored at the end | most stored |")
print("|---|---|---|---|---|---|")
for name in ["seven-days-local", "nightly", "gfs", "compliance-7y"] {
    let policy = try policy(name)
    for (rate, words) in [(0.001, "0.1 %"), (0.01, "1 %"), (0.03, "3 %"), (0.1, "10 %")] {
        let year = year(policy, changing: rate)
        print("| `\(name)` | \(words) | \(year.bundles) | \(year.fulls) | \(text(year.end)) | \(text(year.peak)) |")
    }
}
