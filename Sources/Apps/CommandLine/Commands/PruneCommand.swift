// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import LocalState
import Operations
import Reporting
import Retention

struct PruneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove the bundles that a plan's retention keeps no longer.",
        discussion: """
            Tells what would happen, with the reason for every bundle; changes nothing without --apply. With it, bundles that \
            no rule keeps are marked, and removed by a later run once the grace time is over and the decision still stands. \
            'salvor undelete' takes a mark back. What dead runs left is removed after seven days.

            Nothing is removed, and the exit status is 4, when the plan's last run failed, when too few good bundles would stay \
            or nobody could decrypt them, when a manifest cannot be trusted, or when the store lists less than before.

            A bundle that an object lock keeps is retained, whole, and the table says until when; nobody asks the store to \
            delete it before. Where the store refuses without saying that there is a lock (a missing right), the exit status \
            is 7, or 0 when the plan says that its bucket has an object lock.

              salvor prune                     what would be removed, and why
              salvor prune nightly --apply     mark, and remove what was marked before
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    @Flag(help: "Mark and remove. Without it nothing is changed.")
    var apply = false

    @Flag(help: "Accept that bundles are gone that were there before.")
    var forgetMissing = false

    func run() async throws {
        let session = try Session(global)
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        var reports: [PruneReport] = []
        var failures: [(plan: String, failure: Failure)] = []
        for plan in chosen {
            do {
                reports.append(try await one(plan, session))
            } catch {
                let failure = Failure.wrapping(error)
                guard chosen.count > 1, !(error is CancellationError) else { throw failure }
                failures.append((plan.name, failure))
            }
        }
        for (plan, failure) in failures { Output.note("salvor: plan '\(plan)': \(failure.summary)") }
        let locked = Set(chosen.filter { $0.repository.s3.objectLock != nil }.map(\.name))
        let failure = failures.first?.failure ?? Self.failure(reports, locked)
        try session.print(reports, command: "prune", failure: failure) {
            reports.map(text).joined(separator: "\n\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    /// What is wrong with what was done; nil: nothing.
    private static func failure(_ reports: [PruneReport], _ locked: Set<String>) -> Failure? {
        let refused = reports.flatMap(\.blockers)
        if let first = refused.first {
            return Failure(.pruneRefused, "nothing was removed: \(first.text)", hint: first.remedy)
        }
        guard let report = reports.first(where: { $0.hasRefused && !locked.contains($0.plan) }) else { return nil }
        return Failure(
            .storageDenied, "the store did not let go of everything that plan '\(report.plan)' keeps no longer",
            hint:
                "Give these credentials the right to delete; with an object lock, say so as repository.s3.object-lock.")
    }

    private func one(_ plan: Plan, _ session: Session) async throws -> PruneReport {
        // Backups of the plan may run beside it; a second prune here would only do the same again.
        let lock = apply ? try PlanLock(session.state, plan: plan.name, purpose: "prune") : nil
        guard apply else { return try await decide(plan, session) }
        let report = try await session.recording(plan).run(
            session.record(.prune, plan), plan: plan, repository: { try await session.runRecords(plan) },
            findings: { report in
                RunFindings(
                    failure: report.blockers.first.map { Failure(.pruneRefused, $0.text, hint: $0.remedy) },
                    retained: report.retained)
            }
        ) { try await decide(plan, session) }
        withExtendedLifetime(lock) {}
        return report
    }

    private func decide(_ plan: Plan, _ session: Session) async throws -> PruneReport {
        let repository = try await session.retention(plan)
        let memory = PlanMemory(session.state, repository: try await repository.descriptor().id, plan: plan.name)
        return try await Prune(
            repository: repository, memory: memory, clock: session.clock, progress: session.progress
        ).run(
            Prune.Request(
                plan: plan, applies: apply, forgetsMissing: forgetMissing, host: session.host,
                tool: Session.tool))
    }

    private func text(_ report: PruneReport) -> String {
        var table = TextTable([
            .init("BUNDLE"), .init("STORED", .right), .init("WHAT"), .init("WHY"),
        ])
        for entry in report.bundles {
            table.add([
                entry.decision.bundle.text, entry.storedBytes.map(ByteFormat.text) ?? "-", what(entry, report.at),
                ([entry.retained].compactMap { $0 } + entry.decision.reasons.map(\.text)).joined(separator: "; "),
            ])
        }
        for leftover in report.leftovers {
            table.add([
                leftover.bundle.text, "-", self.leftover(leftover, report.at),
                leftover.retained
                    ?? (leftover.due == nil ? "the rest of a removed bundle" : "a run that left no manifest"),
            ])
        }
        var lines = [table.text()]
        lines += report.notes.map { "does not count: \(PrintableText.of($0))" }
        lines += report.blockers.flatMap {
            ["REFUSED: \(PrintableText.of($0.text))", "  \(PrintableText.of($0.remedy))"]
        }
        lines.append(summary(report))
        if let runs = report.removedRuns, runs > 0 { lines.append("removed \(runs) records of older runs") }
        return lines.joined(separator: "\n")
    }

    private func what(_ entry: PruneReport.Entry, _ now: Timestamp) -> String {
        switch entry.state {
        case .kept: "keep"
        case .unmarked: "MARK"
        case .marked: entry.due.map { "marked, \(wait($0, now))" } ?? "marked"
        case .due: "REMOVE"
        case .removed: "removed"
        case .retained: "RETAINED"
        }
    }

    private func leftover(_ leftover: PruneReport.Leftover, _ now: Timestamp) -> String {
        switch leftover.state {
        case .kept: leftover.due.map { "unfinished, \(wait($0, now))" } ?? "unfinished"
        case .due: "REMOVE"
        case .retained: "RETAINED"
        case .removed, .marked, .unmarked: "removed"
        }
    }

    private func wait(_ due: Timestamp, _ now: Timestamp) -> String {
        "in \(DurationFormat.short(max(0, due.seconds(since: now))))"
    }

    private func summary(_ report: PruneReport) -> String {
        func count(_ states: PruneReport.State...) -> Int { report.bundles.filter { states.contains($0.state) }.count }
        let left = report.leftovers.filter { [.due, .removed].contains($0.state) }.count
        guard report.applied, report.blockers.isEmpty else {
            let begin =
                "\(report.plan): keeps \(count(.kept)), would mark \(count(.unmarked)), would remove \(count(.due))"
            return "\(begin) bundles and \(left) leftovers, \(count(.marked)) wait. Nothing was removed"
                + (report.applied ? "." : "; to carry it out, add --apply.")
        }
        return "\(report.plan): kept \(count(.kept)), removed \(count(.removed)) bundles and \(left) leftovers, "
            + "\(count(.marked)) marked and waiting, \(count(.retained)) retained by the store."
    }
}
