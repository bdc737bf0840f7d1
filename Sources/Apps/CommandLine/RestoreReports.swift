// SPDX-License-Identifier: Apache-2.0
import Domain
import Operations
import Reporting

/// How restores are shown to people.
enum RestoreReports {
    static func text(_ plan: RestorePlan, at now: Timestamp) -> String {
        var lines = [
            "RESTORE of bundle \(plan.bundle)\(plan.state == .partial ? "  (PARTIAL: some sources are missing from it)" : "")",
            "  taken    \(TimeFormat.both(plan.taken)), \(TimeFormat.age(of: plan.taken, at: now)), on host \(plan.host)",
            "  from     \(plan.repository)",
            "  fetches  \(ByteFormat.text(plan.bytesToFetch)); takes about \(DurationFormat.text(Double(plan.estimatedSeconds)))",
        ]
        for source in plan.leftOut where source.reason == .failed {
            lines.append(
                "  LACKS    \(source.name) (\(source.adapter)): its capture failed, the bundle does not have it")
        }
        let others = plan.leftOut.filter { $0.reason == .noData }.map { "\($0.name) (\($0.adapter))" }
        if !others.isEmpty { lines.append("  leaves out \(others.joined(separator: ", ")): no data") }
        for source in plan.sources {
            let steps = source.steps
            lines += ["", "SOURCE \(source.name) (\(source.adapter)), \(ByteFormat.text(source.rawBytes))"]
            lines.append("  from     \(PrintableText.of(steps.origin))")
            lines.append("  to       \(PrintableText.of(steps.target))")
            for replaced in steps.replaces {
                lines.append("  REPLACES \(PrintableText.of(replaced)) (kept until settled)")
            }
            if steps.replaces.isEmpty { lines.append("  replaces nothing") }
            for created in steps.creates { lines.append("  makes    \(PrintableText.of(created))") }
            if let needed = steps.bytesNeeded {
                let free = steps.bytesFree.map { ", \(ByteFormat.text($0)) free" } ?? ""
                lines.append("  space    \(ByteFormat.text(needed)) needed\(free)")
            }
            var phase = ""
            for (number, step) in steps.steps.enumerated() {
                if step.phase != phase {
                    phase = step.phase
                    lines.append("  \(phase):")
                }
                lines.append("    \(number + 1). \(PrintableText.of(step.what))")
                if let command = step.command { lines.append("       $ \(PrintableText.of(command))") }
            }
            for warning in steps.warnings { lines.append("  warning: \(PrintableText.of(warning))") }
            for blocker in steps.blockers { lines.append("  BLOCKED: \(PrintableText.of(blocker))") }
        }
        lines.append("")
        lines.append(
            plan.blockers.isEmpty
                ? "Nothing was changed by this plan. To carry it out, leave out --dry-run."
                : "BLOCKED: \(plan.blockers.count) reasons above. Nothing was changed.")
        return lines.joined(separator: "\n")
    }

    static func text(_ verified: [Restore.Verified]) -> String {
        verified.map { "verified \($0.source): \($0.facts.count) of \($0.facts.count) facts equal" }
            .joined(separator: "\n")
    }

    static func text(_ written: [ToDirectory.Written]) -> String {
        written.flatMap { item in
            ["\(item.path): \(ByteFormat.text(item.bytes)) (\(item.source)/\(item.stream))"]
                + item.notices.map { "  \(PrintableText.of($0))" }
        }.joined(separator: "\n")
    }

    static func promoted(_ id: String) -> String {
        """
        promoted as restore \(id); the old state is kept
          undo it:     salvor restore --rollback \(id)
          let it go:   salvor settle \(id)
        """
    }

    static func list(_ session: Session) throws {
        let records = try session.records.all()
        try session.print(records, command: "restore") {
            guard !records.isEmpty else { return "no restores on this host" }
            var table = TextTable([.init("RESTORE"), .init("BUNDLE"), .init("STARTED"), .init("SOURCES")])
            for record in records {
                table.add([
                    record.id, record.bundle.text, TimeFormat.local(record.started),
                    record.sources.map { "\($0.name) \($0.phase.rawValue)" }.joined(separator: ", "),
                ])
            }
            return table.text()
        }
    }
}
