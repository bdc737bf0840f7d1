// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// What systemd itself makes of calendar expressions.
public enum SystemdCalendar {
    /// The next times of each expression after `moment`, at most `count`, by `systemd-analyze calendar`; nil for those it
    /// refuses.
    public static func next(
        _ expressions: [String], after moment: Timestamp, count: Int
    ) async throws -> [[Timestamp]?] {
        let time = moment.description.replacingOccurrences(of: "T", with: " ").dropLast()
        let environment = ProcessInfo.processInfo.environment.merging(
            ["TZ": "UTC", "LC_ALL": "C", "SYSTEMD_COLORS": "0"]) { $1 }
        var answers: [[Timestamp]?] = []
        for expression in expressions {
            let outcome = try await StockProgram.run(
                "systemd-analyze",
                ["calendar", "--base-time=\(time) UTC", "--iterations=\(count)", "--", expression],
                environment: environment)
            guard outcome.status == 0 else {
                answers.append(nil)
                continue
            }
            answers.append(
                outcome.text.split(separator: "\n").compactMap { line in
                    let parts = line.split(separator: ":", maxSplits: 1)
                    let name = parts.first?.trimmingCharacters(in: .whitespaces) ?? ""
                    guard name == "Next elapse" || name.hasPrefix("Iter. #"), parts.count == 2 else { return nil }
                    // Sat 2026-11-21 12:05:00 UTC
                    let words = parts[1].split(separator: " ")
                    guard words.count == 4 else { return nil }
                    return Timestamp("\(words[1])T\(words[2])Z")
                })
        }
        return answers
    }
}
