// SPDX-License-Identifier: Apache-2.0
import Domain
import Operations

/// A plan's part of the page, as texts: the template only places them.
struct PlanSection {
    let anchor: String
    /// The class of the first section, which begins no new page when printed.
    let first: String
    let name: String
    let state: String
    let stateClass: String
    let repository: String
    let lastGood: String
    let age: String
    let objective: String
    let proof: String
    let count: Int
    let stored: String
    let nextRun: String
    let lastDrill: String
    let problems: [String]
    let warnings: [String]
    let hasFindings: Bool
    let calendar: CalendarChart
    let charts: [BarChart]
    let sources: [SourceRow]
    let runs: [RunRow]
    let hasRuns: Bool
    let bundles: [BundleRow]
    let hasBundles: Bool

    struct SourceRow {
        var name, adapter, lastGood, age, raw, stored, usual, proof, state: String
    }

    struct RunRow {
        var began, kind, outcome, took, words: String
        var isBad: Bool
    }

    struct BundleRow {
        var id, state, raw, stored, took, proof, remark: String
    }

    /// As many runs and bundles are listed; the calendar and the charts reach further.
    private static let rows = 30

    init(_ report: PlanReport, number: Int, at now: Timestamp) {
        let status = report.status
        anchor = "plan-\(number + 1)"
        first = number == 0 ? "first" : "later"
        name = status.plan
        (state, stateClass) =
            !status.problems.isEmpty
            ? ("PROBLEM", "problem") : !status.warnings.isEmpty ? ("warning", "warning") : ("ok", "ok")
        repository = status.repository + (status.isReachable ? "" : " (does not answer)")
        lastGood = status.lastGood?.text ?? "none"
        age = Self.age(status.ageSeconds)
        objective = Self.age(status.objectiveSeconds)
        proof = ProofFormat.short(status.proof, at: now)
        count = status.bundles
        stored = ByteFormat.text(status.storedBytes)
        nextRun = status.nextRun.map { TimeFormat.both($0) } ?? "not scheduled"
        lastDrill = status.lastDrill.map { TimeFormat.age(of: $0, at: now) } ?? "never"
        problems = status.problems + [report.missing].compactMap { $0 }.filter { !status.problems.contains($0) }
        warnings = status.warnings
        hasFindings = !(problems + warnings).isEmpty
        calendar = CalendarChart(report, at: now)
        let complete = report.bundles.compactMap(\.manifest).filter { $0.state == .complete }
        charts = [
            BarChart("Stored bytes", complete, value: { Double($0.storedBytes) }, text: Self.bytes),
            BarChart("Captured bytes", complete, value: { Double($0.rawBytes) }, text: Self.bytes),
            BarChart(
                "Duration", complete, value: { $0.finished.seconds(since: $0.started) },
                text: DurationFormat.text),
        ].compactMap { $0 }
        sources = status.sources.map { source in
            SourceRow(
                name: source.name, adapter: source.adapter, lastGood: source.lastGood?.text ?? "none",
                age: Self.age(source.ageSeconds), raw: Self.bytes(source.size?.rawBytes),
                stored: Self.bytes(source.size?.storedBytes), usual: Self.bytes(source.size?.usualRawBytes),
                proof: ProofFormat.short(source.proof, at: now),
                state: source.failure.map { "FAILED (\($0.code)): \($0.message)" } ?? "ok")
        }
        runs = report.runs.suffix(Self.rows).reversed().map(Self.row)
        hasRuns = !runs.isEmpty
        bundles = report.bundles.suffix(Self.rows).reversed().map { Self.row($0, at: now) }
        hasBundles = !bundles.isEmpty
    }

    private static func row(_ run: RunRecord) -> RunRow {
        let failures = run.sources.compactMap { source in source.failure.map { "\(source.name): \($0.message)" } }
        let whole = run.failure.map { [$0.message, $0.hint].compactMap { $0 }.joined(separator: " — ") }
        let words = ([run.bundle?.text, whole].compactMap { $0 } + failures).joined(separator: "; ")
        return RunRow(
            began: TimeFormat.utc(run.started), kind: run.kind.rawValue, outcome: run.outcome.rawValue,
            took: DurationFormat.text(run.finished.seconds(since: run.started)), words: words,
            isBad: run.outcome != .ok)
    }

    private static func row(_ bundle: PlanReport.Bundle, at now: Timestamp) -> BundleRow {
        let proof = ProofFormat.short(bundle.proof, at: now)
        guard let manifest = bundle.manifest else {
            return BundleRow(
                id: bundle.id.text, state: "UNREADABLE", raw: "-", stored: "-", took: "-", proof: proof, remark: "")
        }
        return BundleRow(
            id: bundle.id.text, state: manifest.state.rawValue, raw: ByteFormat.text(manifest.rawBytes),
            stored: ByteFormat.text(manifest.storedBytes),
            took: DurationFormat.text(manifest.finished.seconds(since: manifest.started)), proof: proof,
            remark: (manifest.tags + [manifest.comment]).filter { !$0.isEmpty }.joined(separator: ", "))
    }

    private static func age(_ seconds: Int?) -> String { seconds.map { DurationFormat.short(Double($0)) } ?? "-" }

    private static func bytes(_ count: UInt64?) -> String { count.map(ByteFormat.text) ?? "-" }

    private static func bytes(_ count: Double) -> String { ByteFormat.text(UInt64(count)) }
}
