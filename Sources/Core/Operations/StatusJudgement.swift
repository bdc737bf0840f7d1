// SPDX-License-Identifier: Apache-2.0
import Domain
import Notifications

/// What is wrong with what was found, and what soon will be.
extension Status.Entry {
    /// Keys that end sooner than this are warned about.
    private static let keyWarningSeconds = 30.0 * 86400
    /// A capture this much larger or smaller than usual deserves a look…
    private static let strangeGrowth = 1.0
    private static let strangeShrinkage = -0.5
    /// …unless both are small: a configuration that doubles is no news.
    private static let notableBytes: UInt64 = 1 << 20
    /// Clocks of two hosts may differ by this.
    private static let clockTolerance = 300

    mutating func judgeAge() {
        func age(_ bundle: BundleID?) -> Int? { bundle.map { Int(at.seconds(since: $0.started)) } }
        ageSeconds = age(lastGood)
        for index in sources.indices { sources[index].ageSeconds = age(sources[index].lastGood) }
        guard let ageSeconds else { return }
        if ageSeconds < -Self.clockTolerance {
            problems.append("the newest bundle is from the future: check this host's clock")
        }
        if let objectiveSeconds, ageSeconds > objectiveSeconds {
            problems.append("the newest complete bundle is older than the recovery-point objective")
        }
        // A source that is new in the plan may be in no bundle, however young they are.
        let absent = sources.filter { $0.lastGood == nil }.map(\.name)
        if isReachable, !absent.isEmpty { problems.append("no bundle has \(absent.joined(separator: ", "))") }
    }

    mutating func judgeRuns() {
        if let run = lastRun(.backup), run.outcome == .failed || run.outcome == .died {
            let reason = run.failure.map { ": \($0.message)" } ?? ""
            problems.append("the last run, of \(run.started), \(Self.word(run.outcome))\(reason)")
        }
        for run in lastRuns where run.kind != .backup && run.outcome != .ok {
            let reason = run.failure.map { ": \($0.message)" } ?? ""
            let words = "the last \(run.kind.rawValue), of \(run.started), \(Self.word(run.outcome))\(reason)"
            if run.kind == .drill { problems.append(words) } else { warnings.append(words) }
        }
        if pendingRecords > 0, isReachable {
            warnings.append("records of runs wait on this host for the repository: \(pendingRecords)")
        }
        guard let every = drillEverySeconds else { return }
        if let lastDrill {
            if Int(at.seconds(since: lastDrill)) > every {
                problems.append("the last drill, of \(lastDrill), is longer ago than 'drill-every' allows")
            }
        } else {
            warnings.append(
                "no drill is known of here or recorded in the repository, although 'drill-every' asks for one")
        }
    }

    mutating func judgeTrend() {
        for source in sources {
            guard let size = source.size, let usual = size.usualRawBytes, let change = size.change,
                max(size.rawBytes, usual) >= Self.notableBytes,
                change > Self.strangeGrowth || change < Self.strangeShrinkage
            else { continue }
            let (now, before) = (Notifications.Size.text(size.rawBytes), Notifications.Size.text(usual))
            warnings.append("\(source.name) has \(now), where \(before) are usual")
        }
        for key in keys {
            guard let expires = key.expires else { continue }
            let left = expires.seconds(since: at)
            if left <= 0 {
                problems.append("the \(key.role.rawValue)'s key \(key.fingerprint) expired at \(expires)")
            } else if left < Self.keyWarningSeconds {
                warnings.append("the \(key.role.rawValue)'s key \(key.fingerprint) expires at \(expires)")
            }
        }
    }

    private static func word(_ outcome: RunRecord.Outcome) -> String {
        switch outcome {
        case .ok: "succeeded"
        case .partial: "was partial"
        case .failed: "failed"
        case .died: "died before its end"
        }
    }
}
