// SPDX-License-Identifier: Apache-2.0
public import Domain

/// The recovery-point objective that is missed.
public enum Overdue {
    /// - Parameters:
    ///   - lastGood: the newest whole bundle; nil: there is none, or nobody knows.
    ///   - waitingSince: since when there could have been one; nil: unknown.
    /// - Returns: nil when the objective is met, or there is none, or nothing is known.
    public static func finding(plan: Plan, lastGood: BundleID?, waitingSince: Timestamp?, now: Timestamp) -> Finding? {
        guard let objective = plan.objectives.recoveryPoint,
            let from = lastGood?.started ?? waitingSince, now.seconds(since: from) > Double(objective)
        else { return nil }
        let allowed = Length.text(Double(objective))
        let age = Length.text(now.seconds(since: from))
        let what =
            lastGood == nil
            ? "there is no good bundle, \(age) after there could have been one; the objective is \(allowed)"
            : "the last good bundle is \(age) old; the objective is \(allowed)"
        return Finding(
            .overdue, .overdue, since: Timestamp(seconds: from.seconds + Int64(objective)),
            signature: "overdue", title: "recovery point missed", what: [what],
            next: [
                NextStep("salvor doctor \(plan.name)", "find what would make a backup fail"),
                NextStep("salvor backup \(plan.name)", "run it now"),
                NextStep("salvor status", "see every plan"),
            ], severity: .error)
    }
}

/// Lengths of time in messages.
public enum Length {
    /// `45 s`, `12 min`, `26 h`, `3 d 4 h`.
    public static func text(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds.isFinite ? seconds : 0).rounded())
        if whole < 120 { return "\(whole) s" }
        if whole < 7200 { return "\(whole / 60) min" }
        if whole < 2 * 86_400 { return "\(whole / 3600) h" }
        return "\(whole / 86_400) d \(whole % 86_400 / 3600) h"
    }
}

/// Sizes in messages.
public enum Size {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    /// `512 B`, `12.3 MiB`.
    public static func text(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        var unit = 0
        while value >= 1023.5, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return unit == 0 || tenths >= 1000
            ? "\(Int(value.rounded())) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
