// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import Operations
import Reporting

struct DrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Restore a bundle for practice, into engines that are thrown away.",
        discussion: """
            Every source is staged, verified and promoted as in an emergency, but into an engine or a folder that is made \
            for the drill and removed after it: nothing live is touched, or even reached. It takes a decryption key, the \
            engines' server programs on this host, and room for the restored data.

              salvor drill                              the newest whole bundle of the only plan
              salvor drill ID --source app-db           one source of one bundle
              salvor drill --folder /mnt/scratch        where there is room

            A source's 'drill: {assert: […]}' in the plan asks the restored copy whatever else must hold: queries and programs.

            A complete bundle that came back whole is proven at the level 'drill', which 'list-backups' and 'status' show with \
            its age. The result is also recorded like any run: 'salvor status' tells the age of the last drill that succeeded, and \
            'objectives: {recovery-time: 1h, drill-every: 30d}' says what is expected.

            Exit status 0 only if every source was restored with every fact equal and every assertion true; 10 if that took longer than \
            'recovery-time'; that of the first failure otherwise.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "Id, unique beginning of one, latest, latest-good, or either with :PLAN; none: latest-good.")
    var bundle: String?

    @Option(name: .customLong("source"), help: "Only this source; may be given several times.")
    var sources: [String] = []

    @Flag(help: "Only sources that hold data: no configuration, secrets or logs.")
    var dataOnly = false

    @Option(
        help: ArgumentHelp("Where the engines live meanwhile; $TMPDIR or /var/tmp unless given.", valueName: "path"))
    var folder: String?

    @Option(help: "The plan whose bundle is restored.")
    var plan: String?

    func run() async throws {
        let session = try Session(global)
        let selector = bundle ?? "latest-good"
        let plan = try session.plan(plan, for: selector)
        let parent = folder ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/var/tmp"
        guard parent.hasPrefix("/") else {
            throw Failure(.usage, "--folder must be an absolute path, not '\(parent)'")
        }
        let report = try await session.recording(plan).run(
            session.record(.drill, plan, isWhole: sources.isEmpty && !dataOnly), plan: plan,
            repository: { try await session.runRecords(plan) },
            findings: { RunFindings(bundle: $0.bundle, failure: $0.failure, sources: $0.sources.map(\.record)) }
        ) { try await drill(selector, parent, plan, session) }
        try session.print(report, command: "drill", failure: report.failure) { Self.text(report) }
        if let failure = report.failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    private func drill(
        _ selector: String, _ parent: String, _ plan: Plan, _ session: Session
    ) async throws -> Drill.Report {
        let repository = try await session.repository(plan)
        let id = try await BundleSelection(repository: repository).find(
            selector, plan: plan.name, having: sources.isEmpty ? plan.sources.map(\.name) : sources)
        let folders = try DrillFolders(below: parent)
        let drill = Drill(
            repository: repository, registry: session.registry, clock: session.clock, progress: session.progress,
            transport: session.transport)
        let request = RestoreRequest(bundle: id, sources: sources, include: [], dataOnly: dataOnly, renames: [:])
        let result: Result<Drill.Report, any Error>
        do {
            result = .success(
                try await drill.run(
                    request, of: plan, folders: folders,
                    recorder: Drill.Recorder(host: session.host, tool: Session.tool)))
        } catch {
            result = .failure(error)
        }
        // Out of reach of this task's cancellation: what was restored is somebody's data.
        try await Task { try await folders.remove() }.value
        return try result.get()
    }

    private static func text(_ report: Drill.Report) -> String {
        var table = TextTable([
            .init("SOURCE"), .init("ADAPTER"), .init("ENGINE", .right), .init("RESTORED", .right),
            .init("PROMOTED", .right), .init("SIZE", .right), .init("RESULT"),
        ])
        for source in report.sources {
            table.add([
                source.name, source.adapter, time(source.engineSeconds), time(source.restoreSeconds),
                time(source.promoteSeconds), ByteFormat.text(source.rawBytes),
                source.failure.map { "FAILED (\($0.code))" }
                    ?? found(source),
            ])
        }
        var verdict = "drill of \(report.bundle): \(time(report.seconds)) in all"
        if let limit = report.recoveryTimeSeconds { verdict += ", \(limit) s are allowed" }
        verdict += report.isPassed ? ": passed" : ": NOT PASSED"
        if let record = report.recorded {
            verdict += "\nrecorded at \(TimeFormat.both(record.at)), signed by \(record.signer)"
        } else if let reason = report.notRecorded {
            verdict += "\nnot recorded as a proof: \(PrintableText.of(reason))"
        }
        // In whole: the table cuts it.
        let failures = report.sources.compactMap { source in
            source.failure.map { failure in
                "FAILED: source '\(source.name)': \(PrintableText.of(failure.message))"
                    + (failure.hint.map { "\n  \(PrintableText.of($0))" } ?? "")
            }
        }
        return ([table.text()] + failures + [verdict]).joined(separator: "\n")
    }

    private static func found(_ source: Drill.Source) -> String {
        let facts = source.facts == 1 ? "1 fact equal" : "\(source.facts) facts equal"
        guard source.assertions > 0 else { return facts }
        return facts + (source.assertions == 1 ? ", 1 assertion holds" : ", \(source.assertions) assertions hold")
    }

    private static func time(_ seconds: Double) -> String { "\((seconds * 10).rounded() / 10) s" }
}

extension Drill.Source {
    /// As run records have it.
    fileprivate var record: RecordedSource {
        RecordedSource(
            name: name, failure: failure, seconds: engineSeconds + restoreSeconds + promoteSeconds, rawBytes: rawBytes,
            storedBytes: 0)
    }
}
