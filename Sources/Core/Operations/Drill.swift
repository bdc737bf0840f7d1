// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Restores a bundle for practice: each source into an engine or folder of its own that is thrown away afterwards, staged,
/// verified and promoted there as in an emergency, with its time taken. Nothing live is read or touched.
public struct Drill: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let clock: any WallClock
    let progress: any ProgressListener
    let transport: any Transport

    /// - Parameter transport: runs the programs that ask what was restored, on this host.
    public init(
        repository: any BundleRepository, registry: AdapterRegistry, clock: any WallClock,
        progress: any ProgressListener, transport: any Transport
    ) {
        self.repository = repository
        self.registry = registry
        self.clock = clock
        self.progress = progress
        self.transport = transport
    }

    /// Folders for a drill, made and removed by whoever knows this host.
    public protocol Folders: Sendable {
        /// A new folder of mode 0711 for an engine.
        func engine(_ source: String) async throws -> String
        /// A new folder of mode 0700 for the restore's own files.
        func work(_ source: String) async throws -> String
        /// Removes both.
        func remove(_ source: String) async throws
    }

    /// What became of a bundle in a drill.
    public struct Report: Sendable, Codable, Equatable {
        public var bundle: BundleID
        public var plan: String
        /// In the bundle's order.
        public var sources: [Source]
        public var seconds: Double
        /// The plan's `recovery-time`; nil: none.
        public var recoveryTimeSeconds: Int?
        /// What was recorded of it in the repository, as the highest level of proof; nil: nothing.
        public var recorded: ProofRecord?
        /// Why nothing was; nil: something was.
        public var notRecorded: String?

        /// Whether every source was restored, and in time.
        public var isPassed: Bool { sources.allSatisfy { $0.failure == nil } && isInTime }

        /// Whether it took no longer than the plan allows.
        public var isInTime: Bool { recoveryTimeSeconds.map { seconds <= Double($0) } ?? true }

        /// The first source that was not restored, or the time.
        public var failure: Failure? {
            if let source = sources.first(where: { $0.failure != nil }), let failure = source.failure {
                return Failure(
                    Failure.Code(failure.code, .failed), "source '\(source.name)': \(failure.message)",
                    hint: failure.hint)
            }
            guard let limit = recoveryTimeSeconds, !isInTime else { return nil }
            return Failure(
                .problemsFound,
                "the restore took \(Int(seconds.rounded(.up))) s, and the plan's 'recovery-time' is \(limit) s",
                hint: "Restore on a faster machine, restore less, or tell your users a longer time.")
        }
    }

    /// What became of one source.
    public struct Source: Sendable, Codable, Equatable {
        public var name: String
        public var adapter: String
        /// nil: restored, and every fact equal.
        public var failure: RecordedFailure?
        /// Facts that were compared.
        public var facts: Int
        /// Assertions of the plan that hold.
        public var assertions: Int
        public var rawBytes: UInt64
        /// Until the engine was ready, staged and verified, promoted.
        public var engineSeconds: Double
        public var restoreSeconds: Double
        public var promoteSeconds: Double
    }

    /// Holds the drill, source by source.
    ///
    /// - Parameter recorder: who leaves a record in the repository when everything of a complete bundle came back; nil: nobody.
    /// - Returns: also when sources fail: see `Report.failure`.
    /// - Throws: when the bundle cannot be opened, or the task is cancelled.
    public func run(
        _ request: RestoreRequest, of plan: Plan, folders: any Folders, recorder: Recorder? = nil
    ) async throws -> Report {
        let started = clock.now()
        let bundle = try await repository.open(request.bundle)
        let chosen = try SourceSelection.choose(request, from: bundle.manifest) { try registry.isData($0) }
        let began = ContinuousClock.now
        var sources: [Source] = []
        for source in chosen {
            try Task.checkCancellation()
            progress.report(.phase("drill \(source.name)"))
            progress.report(.sourceStarted(source.name, estimatedBytes: nil))
            let result = await drill(source, plan, bundle, folders)
            try Task.checkCancellation()
            if let failure = result.failure {
                progress.report(
                    .sourceFailed(source.name, Failure(Failure.Code(failure.code, .failed), failure.message)))
            } else {
                progress.report(.sourceFinished(source.name))
            }
            sources.append(result)
        }
        var report = Report(
            bundle: bundle.manifest.id, plan: plan.name, sources: sources, seconds: Self.seconds(since: began),
            recoveryTimeSeconds: plan.objectives.recoveryTime)
        if let recorder { await record(&report, bundle.manifest, plan, recorder, started) }
        return report
    }

    /// Who says that a drill was passed.
    public struct Recorder: Sendable {
        public var host: String
        public var tool: String

        public init(host: String, tool: String) {
            self.host = host
            self.tool = tool
        }
    }

    /// Leaves the proof beside the bundle. A drill that failed leaves none: it may have failed for what this host lacks, and
    /// a finding of problems would say that the bundle is bad. How long it took is no part of it.
    private func record(
        _ report: inout Report, _ manifest: Manifest, _ plan: Plan, _ recorder: Recorder, _ started: Timestamp
    ) async {
        guard report.sources.allSatisfy({ $0.failure == nil }) else { return }
        guard manifest.state == .complete, Set(report.sources.map(\.name)) == Set(manifest.sources.map(\.name)) else {
            report.notRecorded = "only a complete bundle, drilled whole, is proven by a drill"
            return
        }
        do {
            let signed = try await repository.manifest(manifest.id)
            let streams = manifest.sources.flatMap(\.streams)
            report.recorded = try await repository.record(
                ProofRecord(
                    bundle: manifest.id, manifest: signed.sha256, level: .drill, at: started, command: "drill",
                    host: recorder.host, tool: recorder.tool, problems: 0,
                    objects: streams.reduce(manifest.objects.count + 2) { $0 + $1.segments },
                    bytes: manifest.storedBytes), plan: plan)
        } catch {
            // The drill stands without its record.
            report.notRecorded = Failure.wrapping(error).summary
        }
    }

    private func drill(
        _ source: Manifest.Source, _ plan: Plan, _ bundle: any OpenedBundle, _ folders: any Folders
    ) async -> Source {
        var result = Source(
            name: source.name, adapter: source.adapter, failure: nil, facts: 0, assertions: 0,
            rawBytes: source.streams.reduce(0) { $0 + $1.rawBytes }, engineSeconds: 0, restoreSeconds: 0,
            promoteSeconds: 0)
        do {
            let times = try await rehearse(source, plan, bundle, folders)
            (result.facts, result.assertions, result.engineSeconds) = (times.facts, times.assertions, times.engine)
            (result.restoreSeconds, result.promoteSeconds) = (times.restore, times.promote)
        } catch {
            result.failure = RecordedFailure(Failure.wrapping(error, as: .restoreFailed))
        }
        // Out of reach of this task's cancellation: what was restored is somebody's data.
        let removal = await Task { () -> Failure? in
            do { try await folders.remove(source.name) } catch { return Failure.wrapping(error) }
            return nil
        }.value
        if let removal, result.failure == nil { result.failure = RecordedFailure(removal) }
        return result
    }

    private struct Times: Sendable {
        var facts: Int
        var assertions: Int
        var engine: Double
        var restore: Double
        var promote: Double
    }

    private func rehearse(
        _ source: Manifest.Source, _ plan: Plan, _ bundle: any OpenedBundle, _ folders: any Folders
    ) async throws -> Times {
        var settings = try plan.source(source.name)
        guard settings.adapter == source.adapter else {
            throw Failure(
                .configuration,
                "\(settings.mark): the source is '\(settings.adapter)' in the plan and '\(source.adapter)' in the bundle"
            )
        }
        // The engine of a drill is this host's, wherever the live one is.
        settings.transport = .local
        guard let adapter = try registry.adapter(settings) as? any DrillingAdapter else {
            let refusal = try registry.factory(source.adapter, mark: settings.mark).drillRefusal
            throw Failure(
                .restoreBlocked,
                "'\(source.adapter)' sources cannot be drilled: "
                    + (refusal?.reason ?? "there is no engine to throw away"),
                hint: refusal?.instead
                    ?? "Prove it with 'salvor validate-backup --level contents', and leave it out with --source.")
        }
        let id = BundleID.randomSuffix()
        let work = try await folders.work(source.name)
        let restore = try await SourceRestores.make(
            source.name, restoreID: id, bundle: bundle, include: [], rename: nil, scratch: work)
        let journal = DrillJournal(source: source.name, progress: progress)
        let assertions = settings.assertions
        let questioning = DrillQuestioning(
            plan: plan.name, bundle: bundle.manifest.id, transport: transport, progress: progress)
        let began = ContinuousClock.now
        return try await adapter.inScratch(restore, folder: try await folders.engine(source.name)) { adapter in
            let ready = ContinuousClock.now
            let steps = try await adapter.planRestore(restore)
            guard steps.blockers.isEmpty else {
                throw Failure(.restoreBlocked, steps.blockers.joined(separator: "; "))
            }
            try await adapter.stage(restore, journal: journal)
            let facts = try await adapter.verify(restore, journal: journal)
            try Restore.requireEqual(facts, source.name)
            let verified = ContinuousClock.now
            try await adapter.promote(restore, journal: journal)
            let promoted = ContinuousClock.now
            var held = 0
            if !assertions.isEmpty {
                guard let asked = adapter as? any DrillingAdapter else {
                    throw Failure(.restoreBlocked, "'\(source.adapter)' sources cannot be asked anything")
                }
                held = try await questioning.ask(assertions, of: asked, in: restore)
            }
            try await adapter.settle(restore.place, journal: journal)
            return Times(
                facts: facts.count, assertions: held, engine: Self.seconds(since: began, to: ready),
                restore: Self.seconds(since: ready, to: verified), promote: Self.seconds(since: verified, to: promoted))
        }
    }

    private static func seconds(
        since start: ContinuousClock.Instant, to end: ContinuousClock.Instant = .now
    ) -> Double {
        let parts = start.duration(to: end).components
        return Double(parts.seconds) + (Double(parts.attoseconds) / 1e18 * 1000).rounded() / 1000
    }
}

/// A journal that need not outlive the process: what a drill leaves is removed as a whole.
private actor DrillJournal: RestoreJournal {
    private let source: String
    private let progress: any ProgressListener
    private(set) var recorded: JSONValue = .null

    init(source: String, progress: any ProgressListener) {
        self.source = source
        self.progress = progress
    }

    func record(_ value: JSONValue) { recorded = value }

    func note(_ message: String) { progress.report(.note("\(source): \(message)")) }
}
