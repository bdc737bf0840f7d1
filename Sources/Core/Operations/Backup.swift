// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One run of a plan: preflight, capture every source side by side, commit.
public struct Backup: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let clock: any WallClock
    let progress: any ProgressListener

    public init(
        repository: any BundleRepository, registry: AdapterRegistry, clock: any WallClock,
        progress: any ProgressListener
    ) {
        self.repository = repository
        self.registry = registry
        self.clock = clock
        self.progress = progress
    }

    /// What to run.
    public struct Request: Sendable {
        public var plan: Plan
        /// Names of the sources to capture; empty: all.
        public var sources: [String]
        public var comment: String
        public var tags: [String]
        public var forcesFull: Bool
        public var host: String
        public var tool: String

        public init(
            plan: Plan, sources: [String] = [], comment: String = "", tags: [String] = [], forcesFull: Bool = false,
            host: String, tool: String
        ) {
            self.plan = plan
            self.sources = sources
            self.comment = comment
            self.tags = tags
            self.forcesFull = forcesFull
            self.host = host
            self.tool = tool
        }
    }

    /// Makes one bundle.
    ///
    /// - Returns: the manifest, the failures of the sources that are missing from it (with any, the bundle is partial), and how
    ///   often each source was tried.
    /// - Throws: when no source could be captured, or the bundle could not be committed; nothing is visible then.
    public func run(_ request: Request) async throws -> (
        manifest: Manifest, failures: [String: Failure], attempts: [String: Int]
    ) {
        let sources = try chosen(request)
        let adapters = try sources.map { (settings: $0, adapter: try registry.adapter($0)) }
        _ = try await repository.descriptor()
        let broken = await repository.keyChecks(plan: request.plan, at: clock.now()).filter { $0.state == .failed }
        if let check = broken.first { throw Failure(keyCode(check), check.detail, hint: check.remedy) }
        progress.report(.phase("preflight"))
        let (attempts, refusals) = await preflight(adapters)
        try Task.checkCancellation()
        if refusals.count == adapters.count, let first = adapters.first.flatMap({ refusals[$0.settings.name] }) {
            throw first
        }
        let started = clock.now()
        let run = BundleRun(
            id: BundleID(plan: request.plan.name, started: started, suffix: BundleID.randomSuffix()),
            host: request.host, tool: request.tool, tags: request.tags, comment: request.comment,
            forcesFull: request.forcesFull)
        let writer = try await repository.begin(run, plan: request.plan, progress: progress)
        do {
            progress.report(.phase("capture"))
            let outcomes = try await capture(adapters, attempts, refusals, into: writer)
            let failures = Dictionary(
                uniqueKeysWithValues: outcomes.compactMap { outcome -> (String, Failure)? in
                    guard case .failure(let failure) = outcome.result else { return nil }
                    return (outcome.source.name, failure)
                })
            if failures.count == outcomes.count, let first = outcomes.first.flatMap({ failures[$0.source.name] }) {
                throw first
            }
            progress.report(.phase("commit"))
            let manifest = try await writer.commit(outcomes, finished: clock.now())
            return (
                manifest, failures, Dictionary(uniqueKeysWithValues: outcomes.map { ($0.source.name, $0.attempts) })
            )
        } catch {
            // Detached from this task's cancellation: a run that was interrupted still drops what it stored.
            await Task { await writer.abandon() }.value
            throw error
        }
    }

    private func chosen(_ request: Request) throws -> [SourceSettings] {
        guard !request.sources.isEmpty else { return request.plan.sources }
        let names = request.plan.sources.map(\.name)
        for name in request.sources where !names.contains(name) {
            throw Failure(
                .sourceNotFound, "plan '\(request.plan.name)' has no source '\(name)'",
                hint: NearestName.of(name, among: names).map { "Did you mean '\($0)'?" }
                    ?? "Its sources: \(names.joined(separator: ", ")).")
        }
        return request.plan.sources.filter { request.sources.contains($0.name) }
    }

    private func keyCode(_ check: Check) -> Failure.Code {
        [.keyExpired, .keyRevoked, .keyUnusable, .keyMissing, .signingFailed].first { $0.text == check.code }
            ?? .keyUnusable
    }

    /// What is left of every source's attempts and time, and the failure of those whose preflight refuses.
    private func preflight(
        _ adapters: [(settings: SourceSettings, adapter: any SourceAdapter)]
    ) async -> (attempts: [String: SourceAttempts], refusals: [String: Failure]) {
        await withTaskGroup(of: (SourceAttempts, Failure?).self) { group in
            for (settings, adapter) in adapters {
                group.addTask {
                    var attempts = SourceAttempts(settings, progress)
                    let result = await attempts.run { try await preflight(settings, adapter) }
                    guard case .failure(let failure) = result else { return (attempts, nil) }
                    return (attempts, failure)
                }
            }
            var all: [String: SourceAttempts] = [:]
            var refusals: [String: Failure] = [:]
            for await (attempts, failure) in group {
                all[attempts.source.name] = attempts
                refusals[attempts.source.name] = failure
            }
            return (all, refusals)
        }
    }

    private func preflight(_ settings: SourceSettings, _ adapter: any SourceAdapter) async throws {
        let checks = await adapter.preflight()
        for check in checks where check.state == .warning {
            progress.report(.note("source '\(settings.name)': \(check.detail)"))
        }
        guard let failed = checks.first(where: { $0.state == .failed }) else { return }
        throw Failure(
            .preflightRefused, "source '\(settings.name)': \(failed.name): \(failed.detail)", hint: failed.remedy)
    }

    private func capture(
        _ adapters: [(settings: SourceSettings, adapter: any SourceAdapter)], _ attempts: [String: SourceAttempts],
        _ refusals: [String: Failure], into writer: any BundleWriter
    ) async throws -> [SourceOutcome] {
        let outcomes = try await withThrowingTaskGroup(of: SourceOutcome.self) { group in
            for (settings, adapter) in adapters {
                group.addTask {
                    let started = clock.now()
                    var own = attempts[settings.name] ?? SourceAttempts(settings, progress)
                    let result: Result<CaptureReport, Failure>
                    if let refusal = refusals[settings.name] {
                        result = .failure(refusal)
                    } else {
                        progress.report(.sourceStarted(settings.name, estimatedBytes: nil))
                        result = await own.run(discarding: { await writer.discard(settings.name) }) {
                            try await adapter.capture(into: writer.sink(for: settings.name))
                        }
                    }
                    switch result {
                    case .success: progress.report(.sourceFinished(settings.name))
                    case .failure(let failure): progress.report(.sourceFailed(settings.name, failure))
                    }
                    try Task.checkCancellation()
                    return SourceOutcome(
                        source: settings, started: started, finished: clock.now(), result: result,
                        attempts: own.made)
                }
            }
            var all: [SourceOutcome] = []
            for try await outcome in group { all.append(outcome) }
            return all
        }
        // A store that is full or gone fails the run, not one source.
        for outcome in outcomes {
            if case .failure(let failure) = outcome.result,
                [.storageUnreachable, .key].contains(failure.code.exitStatus)
            {
                throw failure
            }
        }
        let order = adapters.map(\.settings.name)
        return outcomes.sorted {
            (order.firstIndex(of: $0.source.name) ?? 0) < (order.firstIndex(of: $1.source.name) ?? 0)
        }
    }
}
