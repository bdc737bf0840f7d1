// SPDX-License-Identifier: Apache-2.0
public import Domain

/// One run of a plan: preflight, capture every source side by side, commit.
public struct Backup: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let clock: any WallClock
    let progress: any ProgressListener
    let quiescing: Quiescing?

    /// - Parameter quiescing: pauses applications, for plans that ask for it.
    public init(
        repository: any BundleRepository, registry: AdapterRegistry, clock: any WallClock,
        progress: any ProgressListener, quiescing: Quiescing? = nil
    ) {
        self.repository = repository
        self.registry = registry
        self.clock = clock
        self.progress = progress
        self.quiescing = quiescing
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

    /// What became of a run that made a bundle.
    public struct Made: Sendable {
        public var manifest: Manifest
        /// Of the sources that are missing from it; with any, the bundle is partial.
        public var failures: [String: Failure]
        /// How often each source was tried.
        public var attempts: [String: Int]
        /// Why an application that was paused may still be.
        public var unresumed: Failure?
    }

    typealias Pair = (settings: SourceSettings, adapter: any SourceAdapter)

    /// Makes one bundle.
    ///
    /// - Throws: when no source could be captured, or the bundle could not be committed; nothing is visible then.
    public func run(_ request: Request) async throws -> Made {
        await quiescing?.resumeLeftOver(progress)
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
            let (outcomes, group, unresumed) = try await capture(
                request.plan, adapters, attempts, refusals, into: writer)
            let failures = Dictionary(
                uniqueKeysWithValues: outcomes.compactMap { outcome -> (String, Failure)? in
                    guard case .failure(let failure) = outcome.result else { return nil }
                    return (outcome.source.name, failure)
                })
            if failures.count == outcomes.count, let first = outcomes.first.flatMap({ failures[$0.source.name] }) {
                throw first
            }
            progress.report(.phase("commit"))
            let manifest = try await writer.commit(outcomes, group: group, finished: clock.now())
            return Made(
                manifest: manifest, failures: failures,
                attempts: Dictionary(uniqueKeysWithValues: outcomes.map { ($0.source.name, $0.attempts) }),
                unresumed: unresumed)
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
        _ adapters: [Pair]
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
}
