// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import Operations
import Reporting

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a bundle in stages: plan, stage beside, verify, promote; or roll back.",
        discussion: """
            Nothing live is touched before the staged copy was verified against what was counted at capture, and you agreed. \
            The old state is kept until 'salvor settle'.

              salvor restore latest --dry-run           what would happen; reads only; status 4 if it is blocked
              salvor restore latest --source app-db     one source
              salvor restore ID --to-directory DIR      files only, no engine needed
              salvor restore ID --stage-only            stage and verify; then:
              salvor restore --promote RESTORE          swap it in
              salvor restore --rollback RESTORE         undo a promotion, or remove a stage
              salvor restore --list                     restores of this host

            --rollback and 'salvor settle' need neither the repository nor a key; --promote needs both.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "Id, unique beginning of one, latest, latest-good, or either with :PLAN.")
    var bundle: String?

    @Option(name: .customLong("source"), help: "Restore only this source; may be given several times.")
    var sources: [String] = []

    @Option(name: .customLong("include"), help: "Only databases or paths that match; may be given several times.")
    var include: [String] = []

    @Flag(help: "Only sources that hold data: no configuration, secrets or logs.")
    var dataOnly = false

    @Flag(help: "Only search indexes: sources that the plan marks with 'index: true'. They are probed, too.")
    var indexes = false

    @Option(
        help: ArgumentHelp(
            "Run this after promoting; unless it exits with 0, roll back. Split at blanks, no shell.",
            valueName: "program argument..."))
    var probe: String?

    @Flag(help: "Print what would be done, and do nothing.")
    var dryRun = false

    @Option(help: ArgumentHelp("Write the streams as files below this folder instead.", valueName: "folder"))
    var toDirectory: String?

    @Option(
        name: .customLong("rename"),
        help: ArgumentHelp("Restore a source under another name.", valueName: "source=name"))
    var renames: [String] = []

    @Flag(help: "Stage and verify, but do not promote.")
    var stageOnly = false

    @Option(help: ArgumentHelp("Promote a staged restore.", valueName: "restore"))
    var promote: String?

    @Option(
        name: .customLong("rollback"), help: ArgumentHelp("Undo a promoted or staged restore.", valueName: "restore"))
    var rollBack: String?

    @Flag(name: .customLong("list"), help: "List the restores of this host.")
    var listsRestores = false

    @Flag(name: .shortAndLong, help: "Do not ask before promoting.")
    var yes = false

    @Flag(name: .customLong("no-safety-bundle"), help: "Do not back up what will be replaced before promoting.")
    var skipsSafetyBundle = false

    @Option(help: "The plan whose sources are the targets.")
    var plan: String?

    func validate() throws {
        let chosen = [bundle != nil, promote != nil, rollBack != nil, listsRestores].filter { $0 }.count
        guard chosen == 1 else {
            throw ValidationError("Name one of: a bundle, --promote RESTORE, --rollback RESTORE, --list.")
        }
        if indexes, !sources.isEmpty || dataOnly {
            throw ValidationError("--indexes chooses the sources itself: leave --source and --data-only out.")
        }
        if probe != nil || indexes, stageOnly || toDirectory != nil || rollBack != nil {
            throw ValidationError("--probe and --indexes are for restores that are promoted.")
        }
        if let probe, probe.split(separator: " ").isEmpty {
            throw ValidationError("--probe takes a program and its arguments.")
        }
        for rename in renames where rename.split(separator: "=", maxSplits: 1).count != 2 {
            throw ValidationError("--rename takes SOURCE=NAME, not '\(rename)'.")
        }
    }

    func run() async throws {
        let session = try Session(global)
        if listsRestores { return try RestoreReports.list(session) }
        if let promote { return try await continued(promote, session, promoting: true) }
        if let rollBack { return try await continued(rollBack, session, promoting: false) }
        guard let bundle else { return }
        let plan = try session.plan(plan, for: bundle)
        let repository = try await session.repository(plan)
        let request = RestoreRequest(
            bundle: try await BundleSelection(repository: repository).find(
                bundle, plan: plan.name, having: try chosen(plan)),
            sources: try chosen(plan),
            include: include, dataOnly: dataOnly,
            renames: Dictionary(
                renames.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }.map { ($0[0], $0[1]) }
            ) { _, last in last })
        if let toDirectory {
            let written = try await ToDirectory(
                repository: repository, registry: session.registry, trees: TreeFiles(), files: StreamFiles(),
                progress: session.progress
            ).run(request, directory: toDirectory)
            return try session.print(written, command: "restore") { RestoreReports.text(written) }
        }
        let restoreID = BundleID.randomSuffix()
        let planned = try await RestorePlanning(
            repository: repository, registry: session.registry, records: session.records
        ).plan(request, of: plan, restoreID: restoreID)
        if dryRun {
            let failure =
                planned.blockers.isEmpty
                ? nil : Failure(.restoreBlocked, "the restore is blocked by \(planned.blockers.count) reasons")
            try session.print(planned, command: "restore", failure: failure) {
                RestoreReports.text(planned, at: session.clock.now())
            }
            if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
            return
        }
        if !global.json { Output.note(RestoreReports.text(planned, at: session.clock.now())) }
        try await carryOut(planned, request, restoreID, plan, session, repository)
    }

    private func chosen(_ plan: Plan) throws -> [String] {
        guard indexes else { return sources }
        let marked = plan.sources.filter(\.isIndex).map(\.name)
        guard !marked.isEmpty else {
            throw Failure(
                .nothingSelected, "plan '\(plan.name)' marks no source as a search index",
                hint: "Write 'index: true' at a search index that can be made anew without loss "
                    + "(\(Adapters.all.filter(\.canBeIndex).map(\.kind).sorted().joined(separator: ", "))); for any "
                    + "other source, 'salvor restore --source'.")
        }
        return marked
    }

    private func carryOut(
        _ planned: RestorePlan, _ request: RestoreRequest, _ id: String, _ plan: Plan, _ session: Session,
        _ repository: any BundleRepository
    ) async throws {
        let replaces = planned.sources.flatMap(\.steps.replaces)
        if !stageOnly {
            try Confirmation.ask(
                replaces.isEmpty
                    ? "Restore \(planned.bundle)?"
                    : "Replace \(replaces.joined(separator: ", "))? The old state is kept.",
                yes: yes)
        }
        let lock = try session.lock(plan)
        try await session.recording(plan).run(
            session.record(.restore, plan, isWhole: sources.isEmpty), plan: plan,
            repository: { try await session.runRecords(plan) },
            findings: { RunFindings(bundle: planned.bundle) }
        ) { try await staged(planned, request, id, plan, session, repository) }
        withExtendedLifetime(lock) {}
    }

    private func staged(
        _ planned: RestorePlan, _ request: RestoreRequest, _ id: String, _ plan: Plan, _ session: Session,
        _ repository: any BundleRepository
    ) async throws {
        let restore = Restore(
            repository: repository, registry: session.registry, records: session.records, progress: session.progress)
        _ = try restore.begin(planned, request, id: id, at: session.clock.now())
        let verified = try await restore.stageAndVerify(id, plan: plan)
        if stageOnly {
            try session.print(try session.records.load(id), command: "restore") {
                RestoreReports.text(verified)
                    + "\nstaged and verified as restore \(id)\nnext: salvor restore --promote \(id)"
                    + "\n  or: salvor restore --rollback \(id)"
            }
            return
        }
        try await promoteSafely(
            id, plan, session, repository, replacing: planned.sources.filter { !$0.steps.replaces.isEmpty }.map(\.name))
        try session.print(try session.records.load(id), command: "restore") {
            RestoreReports.text(verified) + "\n" + RestoreReports.promoted(id)
        }
    }

    private func continued(_ id: String, _ session: Session, promoting: Bool) async throws {
        let record = try session.records.load(id)
        let plan = try session.plan(record.plan)
        let names = record.sources.map(\.name).joined(separator: ", ")
        try Confirmation.ask(
            promoting ? "Replace \(names) by bundle \(record.bundle)?" : "Put the old state of \(names) back?", yes: yes
        )
        let lock = try session.lock(plan)
        if promoting {
            try await promoteSafely(
                id, plan, session, try await session.repository(plan), replacing: record.sources.map(\.name))
        } else {
            // Neither the repository nor a key: what undoes a restore is on this host.
            try await RestoreEnding(registry: session.registry, records: session.records, progress: session.progress)
                .rollBack(id, plan: plan)
        }
        withExtendedLifetime(lock) {}
        try session.print(try session.records.load(id), command: "restore") {
            promoting ? RestoreReports.promoted(id) : "rolled back restore \(id): the old state is back"
        }
    }

    /// Takes a bundle of what will be replaced, then promotes.
    private func promoteSafely(
        _ id: String, _ plan: Plan, _ session: Session, _ repository: any BundleRepository, replacing: [String]
    ) async throws {
        if !skipsSafetyBundle, !replacing.isEmpty {
            do {
                let made = try await Backup(
                    repository: repository, registry: session.registry, clock: session.clock,
                    progress: session.progress, quiescing: session.quiescing(plan)
                ).run(
                    Backup.Request(
                        plan: plan, sources: replacing, comment: "before promoting restore \(id)",
                        tags: [Manifest.safetyTag],
                        host: session.host, tool: Session.tool))
                if let failure = made.failures.values.first { throw failure }
                if !global.quiet { Output.note("safety bundle \(made.manifest.id)") }
            } catch let failure as Failure {
                throw Failure(
                    failure.code, "the safety bundle could not be made: \(failure.summary)",
                    hint: "Nothing live was changed. If the live data is beyond saving, promote without it: "
                        + "salvor restore --promote \(id) --no-safety-bundle")
            }
        }
        try await Restore(
            repository: repository, registry: session.registry, records: session.records, progress: session.progress
        ).promote(id, plan: plan)
        guard probe != nil || indexes else { return }
        try await RestoreProbe(
            registry: session.registry, records: session.records, transport: session.transport,
            progress: session.progress
        ).run(id, plan: plan, program: (probe ?? "").split(separator: " ").map(String.init))
    }
}
