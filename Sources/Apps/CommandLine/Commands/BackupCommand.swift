// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Domain
import Foundation
import LocalState
import Operations
import Reporting

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Run plans: capture every source into one signed bundle each.",
        discussion: """
            A bundle appears in the repository only when it is whole and proven. If some sources fail, a partial bundle with \
            the others is made and marked, and the exit status is 3; if all fail, nothing is made and it is 1 or 4.
            """)

    @OptionGroup var global: GlobalOptions

    @Argument(help: "The plans; none: every plan.")
    var plans: [String] = []

    @Option(name: .customLong("source"), help: "Capture only this source; may be given several times.")
    var sources: [String] = []

    @Option(help: "A remark kept (unencrypted) in the manifest.")
    var comment = ""

    @Option(name: .customLong("tag"), help: "A tag kept (unencrypted) in the manifest; may be given several times.")
    var tags: [String] = []

    @Flag(help: "Store everything in full, making new bases.")
    var full = false

    @Option(
        help: ArgumentHelp(
            "At most this many bytes per second to the store; K, M and G are 1024-fold.", valueName: "rate"))
    var limitUpload: ByteCount?

    @Option(help: "Segments worked on at once; default: the number of cores.")
    var concurrency: Int?

    @Option(
        defaultAsFlag: WaitTime(seconds: 86_400), parsing: .next,
        help: ArgumentHelp(
            "Wait for another run of the plan to end, a day or so long, instead of giving up with status 6.",
            valueName: "duration"))
    var wait: WaitTime?

    struct Result: Codable {
        var bundles: [Manifest]
        var failures: [String: JSONError]
    }

    func validate() throws {
        if let concurrency, !(1...256).contains(concurrency) {
            throw ValidationError("--concurrency must be from 1 to 256.")
        }
        for tag in tags where !SafeName.isValid(tag) {
            throw ValidationError("'\(tag)' is no tag: use letters, digits, '.', '_' and '-'.")
        }
    }

    func run() async throws {
        let session = try Session(global)
        let chosen = try plans.isEmpty ? session.plans : plans.map { try session.plan($0) }
        guard !chosen.isEmpty else {
            throw Failure(.planNotFound, "there is no plan", hint: "Write one, or name its file with --config.")
        }
        var result = Result(bundles: [], failures: [:])
        var worst: Failure?
        var broken: Failure?
        for plan in chosen {
            do {
                let outcome = try await one(plan, session)
                result.bundles.append(outcome.manifest)
                for (source, failure) in outcome.failures {
                    result.failures["\(plan.name)/\(source)"] = JSONError(failure)
                    worst = worst ?? failure
                }
                for failure in outcome.hookFailures {
                    result.failures["\(plan.name)/hooks"] = JSONError(failure)
                    broken = broken ?? failure
                }
            } catch {
                let failure = Failure.wrapping(error)
                guard chosen.count > 1, !(error is CancellationError) else { throw failure }
                result.failures[plan.name] = JSONError(failure)
                worst = failure
            }
        }
        let failure =
            worst.map { _ in
                result.bundles.isEmpty
                    ? Failure(.sourceFailed, "no plan gave a bundle", hint: "Each plan's failure is in the result.")
                    : Failure(
                        .partial, "\(result.failures.keys.sorted().joined(separator: ", ")) failed",
                        hint: "The bundles hold the rest; the failures are in the result.")
            }
            ?? broken.map {
                Failure($0.code, $0.summary, hint: "The bundle is whole and committed; the hook's work is not done.")
            }
        try session.print(result, command: "backup", failure: failure) { text(result) }
        if let failure { throw ExitCode(failure.code.exitStatus.rawValue) }
    }

    /// One plan's bundle, and what failed beside it.
    private struct Outcome {
        var manifest: Manifest
        var failures: [String: Failure]
        var attempts: [String: Int]
        var hookFailures: [Failure] = []
    }

    private func one(_ plan: Plan, _ session: Session) async throws -> Outcome {
        let hooked = HookedRun(plan: plan, transport: session.transport, progress: session.progress)
        let lock: PlanLock
        do {
            lock = try await PlanLock.waiting(session.state, plan: plan.name, seconds: wait?.seconds ?? 0) {
                session.progress.report(.note("waiting: \($0.summary)"))
            }
        } catch {
            await hooked.refused(Failure.wrapping(error))
            throw error
        }
        return try await session.recording(plan).run(
            session.record(.backup, plan, isWhole: sources.isEmpty), plan: plan,
            repository: { try await session.runRecords(plan) },
            findings: { RunFindings($0.manifest, failures: $0.failures, attempts: $0.attempts) }
        ) { try await run(plan, session, hooked, holding: lock) }
    }

    private func run(
        _ plan: Plan, _ session: Session, _ hooked: HookedRun, holding lock: PlanLock
    ) async throws -> Outcome {
        var (outcome, failures) = try await hooked.run {
            try await captured(plan, session)
        } telling: { outcome in
            let names = outcome.failures.keys.sorted().joined(separator: ", ")
            return HookedRun.Ending(
                bundle: outcome.manifest.id, outcome: outcome.failures.isEmpty ? .ok : .partial,
                failure: outcome.failures.isEmpty ? nil : Failure(.partial, "\(names) failed"))
        }
        outcome.hookFailures += failures
        withExtendedLifetime(lock) {}
        return outcome
    }

    private func captured(_ plan: Plan, _ session: Session) async throws -> Outcome {
        let repository = try await session.repository(plan, uploadLimit: limitUpload?.bytes, concurrency: concurrency)
        let backup = Backup(
            repository: repository, registry: session.registry, clock: session.clock, progress: session.progress,
            quiescing: session.quiescing(plan))
        let made = try await backup.run(
            Backup.Request(
                plan: plan, sources: sources, comment: comment, tags: tags, forcesFull: full, host: session.host,
                tool: Session.tool))
        return Outcome(
            manifest: made.manifest, failures: made.failures, attempts: made.attempts,
            hookFailures: [made.unresumed].compactMap { $0 })
    }

    private func text(_ result: Result) -> String {
        var lines: [String] = []
        for manifest in result.bundles {
            var table = TextTable([
                .init("SOURCE"), .init("STREAM"), .init("STORED AS"), .init("RAW", .right), .init("STORED", .right),
            ])
            for source in manifest.sources {
                for stream in source.streams {
                    table.add([
                        source.name, stream.name, stream.storage.rawValue, ByteFormat.text(stream.rawBytes),
                        ByteFormat.text(stream.storedBytes),
                    ])
                }
                if source.state == .failed { table.add([source.name, "", "FAILED: \(source.failure ?? "")", "", ""]) }
            }
            lines.append(table.text())
            let seconds = manifest.finished.seconds(since: manifest.started)
            lines.append(
                "\(manifest.state == .complete ? "complete" : "PARTIAL") bundle \(manifest.id): "
                    + "\(ByteFormat.text(manifest.rawBytes)) raw, \(ByteFormat.text(manifest.storedBytes)) stored, "
                    + DurationFormat.text(seconds))
            lines += GroupText.lines(manifest)
        }
        for (name, failure) in result.failures.sorted(by: { $0.key < $1.key }) {
            lines.append("FAILED \(name): \(failure.message)\(failure.hint.map { "\n  \($0)" } ?? "")")
        }
        return lines.joined(separator: "\n")
    }
}

/// A number of bytes such as `10M`.
struct ByteCount: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let factors: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        var digits = argument.uppercased()
        var factor = 1
        if let last = digits.last, let known = factors[last] {
            factor = known
            digits.removeLast()
        }
        guard let number = Int(digits), number > 0, number < 1 << 32 else { return nil }
        bytes = number * factor
    }
}
