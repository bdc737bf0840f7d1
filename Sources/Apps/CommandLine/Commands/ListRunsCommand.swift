// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Reporting

struct ListRunsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list-runs", abstract: "List what became of the runs of plans, oldest first.",
        discussion: """
            Every backup, prune, validation and restore leaves a signed record, whatever its outcome: on this host at once, \
            in the repository as soon as that can be reached. Signatures are checked; what does not count is named.

            --local shows what this host remembers of its own runs and needs neither the repository nor a key. A run that \
            was killed is recorded when the next one begins.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plan; none: every plan.")
    var plan: String?

    @Option(help: "Only runs of this kind: backup, validate, prune, restore.")
    var kind: String?

    @Option(help: "Only the newest this many.")
    var last = 30

    @Option(help: "How many days back to look in the repository.")
    var days = 35

    @Flag(help: "Only what this host remembers.")
    var local = false

    func validate() throws {
        guard last > 0, days > 0 else { throw ValidationError("--last and --days must be at least 1.") }
        if let kind, RunRecord.Kind(rawValue: kind) == nil {
            throw ValidationError(
                "'\(kind)' is no kind of run: \(RunRecord.Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
    }

    struct Result: Codable {
        var runs: [RunRecord]
        /// Records that do not count: name and reason.
        var unbelieved: [String: String]
        /// Runs whose record is on this host only.
        var pending: [BundleID]
    }

    func run() async throws {
        let session = try Session(global)
        var result = Result(runs: [], unbelieved: [:], pending: [])
        for plan in try plan.map({ [try session.plan($0)] }) ?? session.plans {
            let history = session.history(plan)
            let pending = try history.pending()
            result.pending += pending.map(\.id)
            if local {
                result.runs += try history.runs(nil, newest: last)
                continue
            }
            let now = session.clock.now()
            let since = Timestamp(seconds: now.seconds - Int64(days) * 86400)
            let stored = try await session.runRecords(plan).runRecords(plan: plan.name, since: since)
            let known = Set(stored.records.map(\.id))
            result.runs += stored.records + pending.filter { !known.contains($0.id) }
            for (name, failure) in stored.unbelieved { result.unbelieved[name] = failure.summary }
        }
        let wanted = kind.flatMap { RunRecord.Kind(rawValue: $0) }
        result.runs = Array(
            result.runs.filter { wanted == nil || $0.kind == wanted }.sorted {
                ($0.started, $0.id) < ($1.started, $1.id)
            }.suffix(last))
        let shown = result
        let failure =
            shown.unbelieved.isEmpty
            ? nil
            : Failure(
                .signatureInvalid, "\(shown.unbelieved.count) records of runs do not count",
                hint: "Find out who wrote them; they are left out.")
        try session.print(shown, command: "list-runs", failure: failure) { Self.text(shown) }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    private static func text(_ result: Result) -> String {
        var lines: [String] = []
        if result.runs.isEmpty {
            lines.append("no runs are recorded")
        } else {
            var table = TextTable([
                .init("RUN"), .init("KIND"), .init("OUTCOME"), .init("TOOK", .right), .init("STORED", .right),
            ])
            for run in result.runs {
                table.add([
                    run.id.text, run.kind.rawValue, run.outcome == .ok ? "ok" : run.outcome.rawValue.uppercased(),
                    run.outcome == .died ? "" : DurationFormat.text(run.finished.seconds(since: run.started)),
                    run.storedBytes > 0 ? ByteFormat.text(run.storedBytes) : "",
                ])
            }
            lines.append(table.text())
            for run in result.runs {
                for kept in run.retained ?? [] {
                    lines.append("\(run.id): \(kept.bundle) is still there: \(PrintableText.of(kept.reason))")
                }
                guard let failure = run.failure else { continue }
                lines.append("\(run.id) (\(failure.code)): \(PrintableText.of(failure.message))")
            }
        }
        if !result.pending.isEmpty {
            lines.append("not in the repository yet: \(result.pending.map(\.text).joined(separator: ", "))")
        }
        for (name, reason) in result.unbelieved.sorted(by: { $0.key < $1.key }) {
            lines.append("does not count: \(name): \(PrintableText.of(reason))")
        }
        return lines.joined(separator: "\n")
    }
}
