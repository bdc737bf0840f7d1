// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Operations
import Reporting

struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate-backup", abstract: "Prove a bundle.",
        discussion: """
            presence   signature valid, chain intact, every object there with the right size (no key needed)
            checksum   also: every object's bytes are the ones that were written (no key needed)
            contents   also: everything decrypts, decompresses and is what was captured (needs a decryption key)

            The result is recorded in the repository, signed with the host's key, and shown by 'list-backups', 'show' and \
            'status'. Where that is not possible a line says why, and the proof stands without it.

            Without a bundle, the newest of every plan that has all its sources is proven, else its newest.

            Exit status 0 only if everything asked for was proven; 8 if anything is wrong with the bundle; 10 if a plan has \
            none, or one is older or has fewer sources than was asked for.
            """, aliases: ["validate"])

    /// The levels, as typed.
    enum Level: String, ExpressibleByArgument, CaseIterable {
        case presence, checksum, contents

        var proof: ProofLevel {
            switch self {
            case .presence: .presence
            case .checksum: .checksum
            case .contents: .contents
            }
        }
    }

    @OptionGroup var global: GlobalOptions

    @Argument(
        help:
            "Id, unique beginning of one, latest, latest-good, or either with :PLAN; none: every plan's newest whole one."
    )
    var bundle: String?

    @Option(help: "presence, checksum or contents.")
    var level: Level = .checksum

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    @Flag(help: "Prove every bundle of the plan; the argument is then ignored except for its plan.")
    var all = false

    @Option(help: ArgumentHelp("Status 10 if a bundle is older.", valueName: "duration"))
    var maxAge: WaitTime?

    @Flag(help: "Status 10 if a bundle lacks a source of its plan, or a plan has none.")
    var complete = false

    @Flag(name: .customLong("no-record"), help: "Leave no record of the result in the repository.")
    var skipsRecord = false

    func validate() throws {
        if all, bundle == nil, plan == nil {
            throw ValidationError("--all needs a plan: --plan PLAN, or latest:PLAN.")
        }
    }

    /// What was found over all plans.
    private struct Findings {
        var reports: [ValidationReport] = []
        /// What is wrong beside the bytes: too old, incomplete, not there.
        var complaints: [String] = []
        var failures: [(plan: String, failure: Failure)] = []
    }

    func run() async throws {
        let session = try Session(global)
        let plans =
            try bundle.map { [try session.plan(plan, for: $0)] } ?? plan.map { [try session.plan($0)] }
            ?? session.plans
        var found = Findings()
        for plan in plans {
            do {
                try await prove(plan, session, &found)
            } catch {
                let failure = Failure.wrapping(error)
                guard plans.count > 1, !(error is CancellationError) else { throw failure }
                found.failures.append((plan.name, failure))
            }
        }
        for (plan, failure) in found.failures { Output.note("salvor: plan '\(plan)': \(failure.summary)") }
        let failure =
            Self.failure(found.reports) ?? found.failures.first?.failure
            ?? (found.complaints.isEmpty
                ? nil : Failure(.problemsFound, found.complaints.joined(separator: "; ")))
        try session.print(found.reports, command: "validate-backup", failure: failure) {
            (found.reports.map(text) + found.complaints.map { "NOT AS IT SHOULD BE: \(PrintableText.of($0))" })
                .joined(separator: "\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    private func prove(_ plan: Plan, _ session: Session, _ found: inout Findings) async throws {
        let repository = try await session.repository(plan)
        _ = try await repository.descriptor()
        let ids = try await chosen(plan, repository, &found)
        guard !ids.isEmpty else { return }
        let proving = Proving(repository: repository, clock: session.clock, progress: session.progress)
        let request = Proving.Request(
            plan: plan, level: level.proof, records: !skipsRecord, host: session.host,
            tool: Session.tool)
        let records: @Sendable () async throws -> any RunRecordRepository = { try await session.runRecords(plan) }
        let reports = try await session.recording(plan).run(
            session.record(.validate, plan, isWhole: all), plan: plan,
            repository: skipsRecord ? nil : records,
            findings: { RunFindings(bundle: ids.last, failure: Self.failure($0)) }
        ) {
            var reports: [ValidationReport] = []
            for id in ids { reports.append(try await proving.run(id, request)) }
            return reports
        }
        found.reports += reports
        let demands = BundleDemands(
            repository: repository, clock: session.clock, longestAge: maxAge?.seconds, mustBeComplete: complete)
        // A manifest that cannot be believed is among the reports already.
        for report in reports where report.manifest != nil {
            found.complaints += try await demands.complaints(report.bundle, plan)
        }
    }

    private func chosen(
        _ plan: Plan, _ repository: any BundleRepository, _ found: inout Findings
    ) async throws -> [BundleID] {
        if all { return try await repository.bundles(plan: plan.name) }
        let selection = BundleSelection(repository: repository)
        if let bundle { return [try await selection.find(bundle, plan: plan.name)] }
        guard let newest = try await selection.newestWhole(plan) else {
            found.complaints.append("plan '\(plan.name)' has no bundle")
            return []
        }
        return [newest]
    }

    private static func failure(_ reports: [ValidationReport]) -> Failure? {
        let damaged = reports.filter { !$0.isProven }.map(\.bundle.text)
        return damaged.isEmpty ? nil : Failure(.integrity, "not proven: \(damaged.joined(separator: ", "))")
    }

    private func text(_ report: ValidationReport) -> String {
        var lines: [String] = []
        if report.isProven {
            lines.append(
                "\(report.bundle): proven at level \(report.level.rawValue) "
                    + "(\(report.objects) objects\(report.bytes > 0 ? ", \(ByteFormat.text(report.bytes)) read" : ""))")
        } else {
            lines.append(
                "\(report.bundle): NOT PROVEN at level \(report.level.rawValue), \(report.problems.count) problems:")
            lines += report.problems.map { "  \($0.object): \($0.summary)" }
        }
        lines += report.unbelieved.map { "  does not count: \(PrintableText.of($0.reason))" }
        if let reason = report.notRecorded { lines.append("  not recorded: \(PrintableText.of(reason))") }
        return lines.joined(separator: "\n")
    }
}
