// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Looks at what a restore put in place, and puts the old state back when it is not well.
public struct RestoreProbe: Sendable {
    let registry: AdapterRegistry
    let records: any RestoreRecords
    let transport: any Transport
    let progress: any ProgressListener

    /// - Parameter transport: where the program runs: this host.
    public init(
        registry: AdapterRegistry, records: any RestoreRecords, transport: any Transport,
        progress: any ProgressListener
    ) {
        self.registry = registry
        self.records = records
        self.transport = transport
        self.progress = progress
    }

    /// What the operator's program may take, in seconds.
    public static let timeLimit = 300

    /// Checks every promoted source as a backup would, then runs `program`, which must exit with 0.
    ///
    /// - Parameter program: the program and its arguments; empty: none.
    /// - Throws: `Failure(.restoreFailed)` when anything is not well, after the restore was rolled back.
    public func run(_ id: String, plan: Plan, program: [String]) async throws {
        do {
            progress.report(.phase("probe"))
            for source in try records.load(id).sources where source.phase == .promoted {
                let checks = await (try registry.adapter(plan.source(source.name))).preflight()
                guard let failed = checks.first(where: { $0.state == .failed }) else { continue }
                throw Failure(.restoreFailed, "source '\(source.name)': \(failed.name): \(failed.detail)")
            }
            try Task.checkCancellation()
            try await run(id, program)
        } catch {
            let failure = Failure.wrapping(error, as: .restoreFailed)
            do {
                // Out of reach of this task's cancellation: half a decision is none.
                try await Task {
                    try await RestoreEnding(registry: registry, records: records, progress: progress)
                        .rollBack(id, plan: plan)
                }.value
            } catch {
                throw Failure(
                    .restoreFailed,
                    "the probe failed (\(failure.summary)), and rolling back failed too: "
                        + Failure.wrapping(error).summary,
                    hint: "Look at the cause, then type 'salvor restore --rollback \(id)'.")
            }
            if failure.code.exitStatus == .interrupted { throw error }
            throw Failure(
                .restoreFailed, "the probe failed: \(failure.summary); everything was rolled back",
                hint: "The old state is back. Try another bundle: 'salvor list-backups'.")
        }
    }

    private func run(_ id: String, _ words: [String]) async throws {
        guard let name = words.first else { return }
        let program = Program(name, Array(words.dropFirst()), environment: ["SALVOR_RESTORE": id])
        let tooLong = Failure(.programFailed, "\(name) took longer than \(TimeLimit.text(Self.timeLimit))")
        let exit = try await TimeLimit.run(until: ContinuousClock.now + .seconds(Self.timeLimit), or: tooLong) {
            try await transport.outputAndExit(of: program, limit: 1 << 20).1
        }
        try exit.requireSuccess(of: program)
    }
}
