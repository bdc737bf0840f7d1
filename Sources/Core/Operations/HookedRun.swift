// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Runs a plan's hooks around its backup.
public struct HookedRun: Sendable {
    let plan: Plan
    let hooks: HookPrograms

    /// - Parameter transport: where hooks run: this host.
    public init(plan: Plan, transport: any Transport, progress: any ProgressListener) {
        self.plan = plan
        hooks = HookPrograms(plan: plan.name, transport: transport, progress: progress)
    }

    /// How a run ended, for hooks.
    public struct Ending: Sendable {
        /// The bundle it committed; nil: none.
        public var bundle: BundleID?
        public var outcome: RunRecord.Outcome
        /// Why it is not `ok`.
        public var failure: Failure?

        public init(bundle: BundleID?, outcome: RunRecord.Outcome, failure: Failure?) {
            self.bundle = bundle
            self.outcome = outcome
            self.failure = failure
        }
    }

    /// `before`, `body`, `after`, and `failure` unless the run was whole. Those after the body run in any case once a
    /// `before` was started or there is none, also when this task is cancelled: they may have to start again what was
    /// stopped.
    ///
    /// - Returns: the body's result, and the failures of hooks that say `stop` after it.
    /// - Throws: what the body throws, or `Failure(.preflightRefused)` when a `before` that says `stop` fails.
    public func run<Result: Sendable>(
        _ body: () async throws -> Result, telling ending: (Result) -> Ending
    ) async throws -> (Result, [Failure]) {
        var started = plan.hooks.before.isEmpty
        do {
            try await before(&started)
            let result = try await body()
            return (result, await finish(ending(result), runsAfter: true))
        } catch {
            let failure = Failure.wrapping(error)
            _ = await finish(Ending(bundle: nil, outcome: .failed, failure: failure), runsAfter: started)
            throw error
        }
    }

    /// Tells the hooks for failures of a run that could not even begin.
    public func refused(_ failure: Failure) async {
        _ = await finish(Ending(bundle: nil, outcome: .failed, failure: failure), runsAfter: false)
    }

    private func before(_ started: inout Bool) async throws {
        for (index, hook) in plan.hooks.before.enumerated() {
            let (wasStarted, failure) = await hooks.run(hook, named: "before[\(index)]", nil)
            started = started || wasStarted
            try Task.checkCancellation()
            guard let failure else { continue }
            guard hook.onFailure == .continue else {
                throw Failure(
                    .preflightRefused, failure.summary,
                    hint: "Nothing was captured. Mend it, or let the backup go on with 'on-failure: continue'.")
            }
            hooks.note("\(failure.summary); going on")
        }
    }

    private func finish(_ ending: Ending, runsAfter: Bool) async -> [Failure] {
        // Out of reach of this task's cancellation; each program has its own time limit.
        await Task {
            var failures: [Failure] = []
            if runsAfter { failures += await all(plan.hooks.after, "after", ending) }
            if ending.outcome != .ok { failures += await all(plan.hooks.failure, "failure", ending) }
            return failures
        }.value
    }

    /// The failure that stopped the list, if one did.
    private func all(_ list: [Hook], _ name: String, _ ending: Ending) async -> [Failure] {
        for (index, hook) in list.enumerated() {
            guard let failure = await hooks.run(hook, named: "\(name)[\(index)]", ending).failure else { continue }
            hooks.note(failure.summary)
            if hook.onFailure == .stop { return [failure] }
        }
        return []
    }
}
