// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Encryption
import LocalState
import Synchronization

/// One bundle being made: what its streams share, and the commit.
final class BundleWriterSession: BundleWriter {
    let run: BundleRun
    let plan: Plan
    let repository: FormatRepository
    let descriptor: RepositoryDescriptor
    let state: PlanState
    let pipeline: SegmentPipeline
    let progress: any ProgressListener
    let keysInUse: RunKeys
    private let captured = Mutex<[CapturedStream]>([])
    private let usableBases = Mutex<[BundleID: Bool]>([:])

    init(
        run: BundleRun, plan: Plan, repository: FormatRepository, descriptor: RepositoryDescriptor, state: PlanState,
        keys: RunKeys, progress: any ProgressListener
    ) {
        self.run = run
        self.plan = plan
        self.repository = repository
        self.descriptor = descriptor
        self.state = state
        self.progress = progress
        keysInUse = keys
        pipeline = SegmentPipeline(
            store: repository.store, concurrency: repository.concurrency,
            sliceSize: repository.sliceSize)
    }

    /// Whether the run may not look at the repository.
    var isBlind: Bool { repository.access == .putOnly }

    /// An imported bundle is never a base: tonight's data has nothing to do with it.
    var keepsLocalBase: Bool { plan.keepsLocalBase && run.origin == nil }

    func sink(for source: String) -> any CaptureSink { SourceSink(session: self, source: source) }

    func add(_ stream: CapturedStream) { captured.withLock { $0.append(stream) } }

    func discard(_ source: String) async {
        captured.withLock { $0.removeAll { $0.table.source == source } }
        guard !isBlind else {
            note("what a failed attempt stored stays until the bundle goes: this host may not delete")
            return
        }
        // What stays is overwritten or counts for nothing: only what the tables name is part of a bundle.
        do {
            for object in try await repository.store.list(BundleLayout.key(run.id, "\(source)/")) {
                try await repository.store.delete(object.key)
            }
        } catch {
            note("what a failed attempt stored stays until the bundle goes: \(Failure.wrapping(error).summary)")
        }
    }

    func note(_ message: String) { progress.report(.note(message)) }

    /// Whether a base is young and small enough by the rules, can be read by everybody who is to read `source`, and its
    /// bundle is still in the repository and to stay there.
    func isUsable(
        _ bundle: BundleID, for source: String, readers: [String], taken: Timestamp, storedBytes: UInt64,
        lastDeltaBytes: UInt64?
    ) async throws -> Bool {
        guard Set(readers).isSuperset(of: keysInUse.readers(of: source).recipients) else {
            note("source '\(source)': there are new recipients, who cannot read the base: storing in full")
            return false
        }
        guard
            RebaseRule.isUsable(
                taken: taken, storedBytes: storedBytes, lastDeltaBytes: lastDeltaBytes, at: run.id.started)
        else { return false }
        if let known = usableBases.withLock({ $0[bundle] }) { return known }
        if isBlind {
            // Whoever removes spares these for so long, and no others (docs/format.md).
            let isSpared = try state.isBlind(bundle)
            usableBases.withLock { $0[bundle] = isSpared }
            return isSpared
        }
        // The record first, as in checkBases.
        let isMarked = try await repository.isMarked(bundle, at: run.id.started)
        let isThere = try await repository.store.size(of: BundleLayout.key(bundle, BundleLayout.manifest)) != nil
        let isStaying = isThere && !isMarked
        if isMarked { note("the base \(bundle) is marked for removal: storing in full") }
        usableBases.withLock { $0[bundle] = isStaying }
        return isStaying
    }

    func commit(_ outcomes: [SourceOutcome], group: RecoveryGroup?, finished: Timestamp) async throws -> Manifest {
        let succeeded = Set(outcomes.filter(\.isCaptured).map(\.source.name))
        guard !succeeded.isEmpty else { throw Failure(.sourceFailed, "no source could be captured") }
        let streams = captured.withLock { $0 }.filter { succeeded.contains($0.table.source) }
            .sorted { ($0.table.source, $0.table.name) < ($1.table.source, $1.table.name) }
        let table = SegmentTable(streams: streams.map(\.table))
        let contents = Contents(
            sources: outcomes.compactMap { outcome in
                guard case .success(let report) = outcome.result else { return nil }
                return Contents.Source(
                    name: outcome.source.name, engine: report.engine, facts: report.facts,
                    restoreData: report.restoreData, notices: report.notices, position: report.position)
            }, streams: streams.map(\.contents))
        try checkAge(finished, and: .zero)
        try await checkBases(table, at: finished)
        let objects = try await putTables(table, contents)
        if keysInUse.ephemeral != nil { try await prove(table, contents, objects) }
        let manifest = try await manifest(outcomes, group, table, objects, finished: finished)
        let bytes = try CanonicalJSON.encode(manifest)
        let signature = try await repository.sign(bytes, signer: keysInUse.signer)
        try await repository.store.put(BundleLayout.key(run.id, BundleLayout.signature), signature)
        let looked = ContinuousClock.now
        try await checkStillThere(table)
        try await checkBases(table, at: finished)
        try Task.checkCancellation()
        let key = BundleLayout.key(run.id, BundleLayout.manifest)
        try await repository.store.put(key, bytes, condition: .ifAbsent)
        if looked.duration(to: .now) > repository.commitTime {
            // The host slept in between, longer than whoever removes waits.
            do {
                try checkAge(finished, and: looked.duration(to: .now))
                try await checkStillThere(table)
                try await checkBases(table, at: finished)
            } catch {
                // Who may not delete can only say so; a validation finds what is missing.
                if !isBlind { try await repository.store.delete(key) }
                throw error
            }
        }
        let link = Manifest.Previous(id: run.id, sha256: SHA256Digest.of(bytes))
        await keysInUse.destroy()
        remember(link, streams)
        if manifest.proof == .contents { await recordProof(link, table, objects, finished: finished) }
        forgetStreams()
        return manifest
    }

    /// What the streams do after the commit refers to this session: without this, neither would ever go, nor the folder
    /// with the recipients' keys.
    private func forgetStreams() { captured.withLock { $0.removeAll() } }

    func abandon() async {
        forgetStreams()
        await keysInUse.destroy()
        guard !isBlind else {
            note("what \(run.id) stored stays until a prune removes it: this host may not delete")
            return
        }
        // The run has failed already; what cannot be removed now is an uncommitted prefix, which prune removes later.
        do {
            let objects = try await repository.store.list(run.id.folder + "/")
            guard !objects.contains(where: { $0.key == BundleLayout.key(run.id, BundleLayout.manifest) }) else {
                return
            }
            for object in objects { try await repository.store.delete(object.key) }
        } catch {
            note("the uncommitted part of \(run.id) could not be removed: \(Failure.wrapping(error).summary)")
        }
    }

    /// A run that is as old as what counts as dead may have lost what it stored.
    private func checkAge(_ finished: Timestamp, and more: Duration) throws {
        let age = finished.seconds(since: run.id.started) + Double(more.components.seconds)
        guard age < Double(RetentionTimes.dead) - RetentionTimes.hour else {
            throw Failure(
                .sourceFailed, "the run took a week: what it stored may be taken for that of a dead one",
                hint: "Give it a faster connection, or divide the plan's sources among several plans.")
        }
    }

    /// A prune that took this run for dead removed what it stored: a run may last longer than anybody thought.
    private func checkStillThere(_ table: SegmentTable) async throws {
        if isBlind { return }
        let listed = Set(try await repository.store.list(run.id.folder + "/").map(\.key))
        for segment in table.streams.flatMap(\.segments) {
            let key = BundleLayout.key(run.id, segment.object)
            if listed.contains(key) { continue }
            // A listing may be late; the object itself is not.
            guard try await repository.store.size(of: key) == nil else { continue }
            throw Failure(
                .integrity, "'\(key)' was removed while this run was under way",
                hint: "Find out who removed it; a prune takes runs for dead after seven days.")
        }
    }

    /// A base that went away while the run used it, or will, must not be committed against. A prune removes nothing
    /// within the hour after its mark, and looks for new bundles before it does: so there is time for the manifest.
    private func checkBases(_ table: SegmentTable, at now: Timestamp) async throws {
        // Of what it made itself, whoever removes spares what is as young as this.
        if isBlind { return }
        for base in Set(table.streams.compactMap(\.base)) {
            // The records first: the other way round, a removal fits in between whose mark is no longer seen.
            guard try await !repository.isMarked(base, at: now) else {
                throw Failure(
                    .baseMissing, "the base bundle \(base) was marked for removal while this run used it",
                    hint: "Run the backup again; it will store a full.")
            }
            guard try await repository.store.size(of: BundleLayout.key(base, BundleLayout.manifest)) != nil else {
                throw Failure(
                    .baseMissing, "the base bundle \(base) was removed while this run used it",
                    hint: "Run the backup again; it will store a full.")
            }
        }
    }

    /// Local notes after the commit: what fails here costs the next delta only.
    private func remember(_ link: Manifest.Previous, _ streams: [CapturedStream]) {
        guard run.origin == nil else { return }
        do {
            try state.setLastCommitted(link)
            if isBlind { try state.noteBlind(link.id) }
            for stream in streams {
                try stream.afterCommit()
            }
        } catch {
            note(
                "the bundle is committed, but the state folder could not be updated: \(Failure.wrapping(error).summary)"
            )
        }
    }
}
