// SPDX-License-Identifier: Apache-2.0
public import Domain

/// How far a bundle is proven, for people.
public enum ProofFormat {
    /// In a table's cell: `contents 3h`, `PROBLEMS 3h`, or `-` when nothing is recorded.
    public static func short(_ standing: ProofStanding?, at now: Timestamp) -> String {
        // Within clocks' tolerance a record may be a little ahead.
        func age(_ claim: ProofClaim) -> String { DurationFormat.short(max(0, now.seconds(since: claim.at))) }
        if let problems = standing?.problems { return "PROBLEMS \(age(problems))" }
        return standing?.proven.map { "\($0.level.rawValue) \(age($0))" } ?? "-"
    }

    /// One line each: what was found and when.
    public static func lines(_ standing: ProofStanding, at now: Timestamp) -> [String] {
        let proven = standing.proven.map {
            "\($0.level.rawValue), \(TimeFormat.age(of: $0.at, at: now)) (\(TimeFormat.both($0.at)))"
        }
        let problems = standing.problems.map {
            "PROBLEMS at level \($0.level.rawValue), \(TimeFormat.age(of: $0.at, at: now)) (\(TimeFormat.both($0.at)))"
        }
        return [problems, proven].compactMap { $0 }
    }
}
