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

            Exit status 0 only if everything asked for was proven; 8 if anything is wrong with the bundle.
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

    @Argument(help: "Id, unique beginning of one, latest, or latest:PLAN.")
    var bundle: String

    @Option(help: "presence, checksum or contents.")
    var level: Level = .checksum

    @Option(help: "The plan whose repository to look in.")
    var plan: String?

    @Flag(help: "Prove every bundle of the plan; the argument is then ignored except for its plan.")
    var all = false

    @Flag(name: .customLong("no-record"), help: "Leave no record of the result in the repository.")
    var skipsRecord = false

    func run() async throws {
        let session = try Session(global)
        let plan = try session.plan(plan, for: bundle)
        let repository = try await session.repository(plan)
        _ = try await repository.descriptor()
        let ids =
            all
            ? try await repository.bundles(plan: plan.name)
            : [try await BundleSelection(repository: repository).find(bundle, plan: plan.name)]
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
        let failure = Self.failure(reports)
        try session.print(reports, command: "validate-backup", failure: failure) {
            reports.map(text).joined(separator: "\n")
        }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
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
