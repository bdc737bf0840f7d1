// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Ends restores: puts the old state back, or lets it go. Acts on the journal and the plan's sources alone, so that it works
/// when the key is back in the safe and the repository is out of reach.
public struct RestoreEnding: Sendable {
    let registry: AdapterRegistry
    let records: any RestoreRecords
    let progress: any ProgressListener

    public init(registry: AdapterRegistry, records: any RestoreRecords, progress: any ProgressListener) {
        self.registry = registry
        self.records = records
        self.progress = progress
    }

    /// Puts the old state back: undoes promotions newest first, and removes what was only staged.
    public func rollBack(_ id: String, plan: Plan) async throws {
        let journal = try RestoreProgress(records.load(id), records, progress)
        for source in await journal.record.sources.reversed() {
            let page = journal.part(source.name)
            switch source.phase {
            case .promoting, .promoted, .rollingBack:
                let (adapter, place) = try await prepared(source, plan, journal)
                progress.report(.phase("roll back \(source.name)"))
                try await journal.enter(source.name, .rollingBack)
                try await adapter.rollBack(place, journal: page)
                // What was promoted is a stage again: it goes, too.
                try await adapter.abandon(place, journal: page)
                try await journal.enter(source.name, .rolledBack)
            case .staging, .staged, .verified:
                let (adapter, place) = try await prepared(source, plan, journal)
                progress.report(.phase("remove the stage of \(source.name)"))
                try await adapter.abandon(place, journal: page)
                try await journal.enter(source.name, .abandoned)
            case .settled:
                throw Failure(
                    .restoreFailed, "source '\(source.name)' of restore \(id) is settled: its old state is gone",
                    hint: "Restore the safety bundle instead: 'salvor list-backups'.")
            case .planned, .rolledBack, .abandoned: break
            }
        }
        try records.clean(id, everything: true)
    }

    /// Removes the old state that promotions kept.
    public func settle(_ id: String, plan: Plan) async throws {
        let journal = try RestoreProgress(records.load(id), records, progress)
        let sources = await journal.record.sources
        guard sources.allSatisfy({ [.promoted, .settled].contains($0.phase) }) else {
            throw Failure(
                .restoreFailed, "restore \(id) is not promoted as a whole, so there is nothing to settle",
                hint: "Promote it or roll it back first.")
        }
        for source in sources where source.phase == .promoted {
            let (adapter, place) = try await prepared(source, plan, journal)
            progress.report(.phase("settle \(source.name)"))
            try await adapter.settle(place, journal: journal.part(source.name))
            try await journal.enter(source.name, .settled)
        }
        try records.clean(id, everything: true)
    }

    private func prepared(
        _ source: RestoreRecord.Source, _ plan: Plan, _ journal: RestoreProgress
    ) async throws -> (any SourceAdapter, RestorePlace) {
        let record = await journal.record
        let place = RestorePlace(
            restoreID: record.id, bundle: record.bundle, source: source.name,
            scratchDirectory: try records.scratch(record.id, source: source.name),
            keepDirectory: try records.kept(record.id, source: source.name))
        return (try registry.adapter(plan.source(source.name)), place)
    }
}

extension Plan {
    /// The settings of a source that a restore began with.
    ///
    /// - Throws: `Failure(.sourceNotFound)`.
    func source(_ name: String) throws -> SourceSettings {
        guard let settings = sources.first(where: { $0.name == name }) else {
            throw Failure(.sourceNotFound, "the plan '\(self.name)' has no source '\(name)' any more")
        }
        return settings
    }
}
