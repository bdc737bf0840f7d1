// SPDX-License-Identifier: Apache-2.0
import Domain
import Operations
import PlanFiles
import Reporting

/// `status` for people: the plans, their sources, what comes next, and what is wrong.
enum StatusText {
    static func of(_ entries: [Status.Entry], at now: Timestamp) -> String {
        let blocks = [plans(entries, at: now), sources(entries, at: now), outlook(entries, at: now), findings(entries)]
        return blocks.filter { !$0.isEmpty }.map(trimmed).joined(separator: "\n\n")
    }

    private static func plans(_ entries: [Status.Entry], at now: Timestamp) -> String {
        var table = TextTable([
            .init("PLAN", narrowest: 8), .init("LAST GOOD", narrowest: 16), .init("AGE", .right),
            .init("OBJECTIVE", .right), .init("PROVEN"), .init("STATE"),
        ])
        for entry in entries {
            table.add([
                entry.plan, entry.lastGood?.text ?? "none", age(entry.ageSeconds),
                entry.objectiveSeconds.map(PlanDuration.text) ?? "-", ProofFormat.short(entry.proof, at: now),
                !entry.problems.isEmpty ? "PROBLEM" : !entry.warnings.isEmpty ? "warning" : "ok",
            ])
        }
        return table.text()
    }

    private static func sources(_ entries: [Status.Entry], at now: Timestamp) -> String {
        var table = TextTable([
            .init("SOURCE", narrowest: 12), .init("LAST GOOD", narrowest: 10), .init("AGE", .right),
            .init("PROVEN"), .init("SIZE", .right), .init("TREND", .right), .init("STATE"),
        ])
        for entry in entries {
            for source in entry.sources {
                table.add([
                    entries.count == 1 ? source.name : "\(entry.plan)/\(source.name)",
                    source.lastGood.map { String(TimeFormat.utc($0.started).prefix(16)) } ?? "none",
                    age(source.ageSeconds), ProofFormat.short(source.proof, at: now),
                    source.size.map { ByteFormat.text($0.rawBytes) } ?? "-", trend(source.size),
                    source.failure.map { "FAILED \($0.code)" } ?? (source.lastGood == nil ? "NONE" : "ok"),
                ])
            }
        }
        return table.text()
    }

    private static func outlook(_ entries: [Status.Entry], at now: Timestamp) -> String {
        entries.map { entry in
            var lines = ["\(entry.plan): \(PrintableText.of(entry.repository))"]
            lines.append("  " + (entry.isReachable ? holdings(entry) : "NOT REACHABLE; what follows is remembered"))
            if let run = entry.lastRun(.backup) {
                let took = DurationFormat.text(run.finished.seconds(since: run.started))
                let ended = TimeFormat.age(of: run.finished, at: now)
                lines.append("  last run: \(run.outcome.rawValue), \(ended), took \(took)")
            }
            let next = entry.nextRun.map { TimeFormat.both($0) } ?? "not scheduled"
            let drill = entry.lastDrill.map { TimeFormat.age(of: $0, at: now) } ?? "never"
            lines.append("  next run: \(next); last drill: \(drill)")
            return lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func holdings(_ entry: Status.Entry) -> String {
        if entry.access == .putOnly { return "put-only: what it holds is not known here" }
        let room = entry.freeBytes.map { ", \(ByteFormat.text($0)) free" } ?? ""
        return "\(entry.bundles) bundles, \(ByteFormat.text(entry.storedBytes)) stored\(room)"
    }

    private static func findings(_ entries: [Status.Entry]) -> String {
        entries.flatMap { entry in
            entry.problems.map { "PROBLEM \(entry.plan): \(PrintableText.of($0))" }
                + entry.warnings.map { "warning \(entry.plan): \(PrintableText.of($0))" }
        }.joined(separator: "\n")
    }

    private static func age(_ seconds: Int?) -> String { seconds.map { DurationFormat.short(Double($0)) } ?? "-" }

    /// `+12%`, `-3%`, `=` within a per cent; `-` without a history.
    private static func trend(_ size: Status.Size?) -> String {
        guard let change = size?.change else { return "-" }
        let percent = Int(min(change * 100, 99_999).rounded())
        return percent == 0 ? "=" : percent > 0 ? "+\(percent)%" : "\(percent)%"
    }

    private static func trimmed(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
}
