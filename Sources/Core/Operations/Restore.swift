// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Carries a restore through its phases up to the promotion; every phase is journalled before and after, so that it can be
/// gone on with or undone (`RestoreEnding`) after a crash.
public struct Restore: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let records: any RestoreRecords
    let progress: any ProgressListener

    public init(
        repository: any BundleRepository, registry: AdapterRegistry, records: any RestoreRecords,
        progress: any ProgressListener
    ) {
        self.repository = repository
        self.registry = registry
        self.records = records
        self.progress = progress
    }

    /// What the verification of one source found.
    public struct Verified: Sendable, Codable, Equatable {
        public var source: String
        public var facts: [FactComparison]
    }

    /// Notes a new restore before anything is done.
    public func begin(_ plan: RestorePlan, _ request: RestoreRequest, id: String, at now: Timestamp) throws
        -> RestoreRecord
    {
        guard plan.blockers.isEmpty else {
            throw Failure(
                .restoreBlocked, "the restore is blocked: \(plan.blockers.joined(separator: "; "))",
                hint: "Nothing was changed; '--dry-run' shows the whole plan.")
        }
        let record = RestoreRecord(
            id: id, plan: plan.plan, bundle: plan.bundle, started: now, include: request.include,
            sources: plan.sources.map {
                RestoreRecord.Source(name: $0.name, rename: request.renames[$0.name], phase: .planned)
            })
        try records.save(record)
        return record
    }

    /// Stages and verifies every source that is not verified yet. On failure everything staged is removed.
    public func stageAndVerify(_ id: String, plan: Plan) async throws -> [Verified] {
        let journal = try RestoreProgress(records.load(id), records, progress)
        let bundle = try await repository.open(await journal.record.bundle)
        var verified: [Verified] = []
        for source in await journal.record.sources where [.planned, .staging, .staged].contains(source.phase) {
            let (adapter, restore) = try await prepared(source, plan, bundle, journal)
            do {
                progress.report(.phase("stage \(source.name)"))
                progress.report(.sourceStarted(source.name, estimatedBytes: nil))
                try await journal.enter(source.name, .staging)
                try await adapter.stage(restore, journal: journal.part(source.name))
                try await journal.enter(source.name, .staged)
                progress.report(.phase("verify \(source.name)"))
                let facts = try await adapter.verify(restore, journal: journal.part(source.name))
                try Self.requireEqual(facts, source.name)
                try await journal.enter(source.name, .verified)
                progress.report(.sourceFinished(source.name))
                verified.append(Verified(source: source.name, facts: facts))
            } catch {
                let failure = Failure.wrapping(error, as: .restoreFailed, "source '\(source.name)'")
                progress.report(.sourceFailed(source.name, failure))
                await abandonAll(id, plan: plan)
                throw failure
            }
        }
        return verified
    }

    /// Promotes every verified source. If one fails, those promoted before it are rolled back, newest first. Opens the
    /// bundle: what was captured (access rules, properties of databases, members) is applied and checked again.
    public func promote(_ id: String, plan: Plan) async throws {
        let journal = try RestoreProgress(records.load(id), records, progress)
        let bundle = try await repository.open(await journal.record.bundle)
        let sources = await journal.record.sources
        if let early = sources.first(where: { [.planned, .staging, .staged].contains($0.phase) }) {
            throw Failure(
                .restoreFailed, "source '\(early.name)' of restore \(id) is only \(early.phase.rawValue)",
                hint: "Undo it with 'salvor restore --rollback \(id)' and start again.")
        }
        let waiting = sources.filter { [.verified, .promoting].contains($0.phase) }
        guard !waiting.isEmpty else {
            throw Failure(
                .restoreNotFound, "restore \(id) has nothing to promote", hint: "See 'salvor restore --list'.")
        }
        for source in waiting {
            let (adapter, restore) = try await prepared(source, plan, bundle, journal)
            do {
                progress.report(.phase("promote \(source.name)"))
                try await journal.enter(source.name, .promoting)
                try await adapter.promote(restore, journal: journal.part(source.name))
                try await journal.enter(source.name, .promoted)
            } catch {
                let failure = Failure.wrapping(error, as: .restoreFailed, "source '\(source.name)'")
                progress.report(.sourceFailed(source.name, failure))
                do { try await Task { try await ending.rollBack(id, plan: plan) }.value } catch {
                    throw Failure(
                        failure.code, "\(failure.summary); rolling back failed too: \(Failure.wrapping(error).summary)",
                        hint: "Look at the cause, then type 'salvor restore --rollback \(id)'.")
                }
                throw Failure(
                    failure.code, "\(failure.summary); everything was rolled back", hint: failure.hint)
            }
        }
        try records.clean(id, everything: false)
    }

    private var ending: RestoreEnding { RestoreEnding(registry: registry, records: records, progress: progress) }

    /// - Throws: `Failure(.verifyFailed)` when something was counted differently than at capture.
    static func requireEqual(_ compared: [FactComparison], _ source: String) throws {
        let facts = compared.filter { !$0.isEqual }
        guard !facts.isEmpty else { return }
        let shown = facts.prefix(3).map {
            "\($0.name): \($0.recorded?.description ?? "nothing") at capture, \($0.found?.description ?? "nothing") restored"
        }
        let rest = facts.count > 3 ? " and \(facts.count - 3) more" : ""
        throw Failure(
            .verifyFailed, "the staged copy differs from what was captured: \(shown.joined(separator: "; "))\(rest)",
            hint: "The live system was not touched; try another bundle.")
    }

    private func abandonAll(_ id: String, plan: Plan) async {
        // Out of reach of this task's cancellation: an interrupted restore still removes its stages.
        await Task {
            do { try await ending.rollBack(id, plan: plan) } catch {
                progress.report(
                    .note(
                        "what was staged could not be removed (\(Failure.wrapping(error).summary)); "
                            + "type 'salvor restore --rollback \(id)'"))
            }
        }.value
    }

    private func prepared(
        _ source: RestoreRecord.Source, _ plan: Plan, _ bundle: any OpenedBundle, _ journal: RestoreProgress
    ) async throws -> (any SourceAdapter, SourceRestore) {
        let settings = try plan.source(source.name)
        let record = await journal.record
        var restore = try await SourceRestores.make(
            source.name, restoreID: record.id, bundle: bundle, include: record.include, rename: source.rename,
            scratch: try records.scratch(record.id, source: source.name))
        restore.keepDirectory = try records.kept(record.id, source: source.name)
        return (try registry.adapter(settings), restore)
    }
}
