// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Computes a restore's plan: manifest, contents and the targets' own preflights. Only reads.
public struct RestorePlanning: Sendable {
    let repository: any BundleRepository
    let registry: AdapterRegistry
    let records: any RestoreRecords

    public init(repository: any BundleRepository, registry: AdapterRegistry, records: any RestoreRecords) {
        self.repository = repository
        self.registry = registry
        self.records = records
    }

    /// - Parameter restoreID: the id the restore will have; names of staged things contain it.
    public func plan(_ request: RestoreRequest, of plan: Plan, restoreID: String) async throws -> RestorePlan {
        let bundle = try await repository.open(request.bundle)
        let chosen = try SourceSelection.choose(request, from: bundle.manifest) { try registry.isData($0) }
        var sources: [RestorePlan.Source] = []
        for source in chosen {
            let steps = try await steps(source, bundle, request, plan, restoreID)
            sources.append(
                RestorePlan.Source(
                    name: source.name, adapter: source.adapter,
                    rawBytes: source.streams.reduce(0) { $0 + $1.rawBytes },
                    storedBytes: source.streams.reduce(0) { $0 + $1.storedBytes }, steps: steps))
        }
        let manifest = bundle.manifest
        return RestorePlan(
            bundle: manifest.id, plan: manifest.plan, host: manifest.host, taken: manifest.started,
            state: manifest.state, repository: repository.location, sources: sources,
            bytesToFetch: try await bytesToFetch(chosen), estimatedSeconds: Self.estimate(chosen),
            blockers: sources.flatMap { source in source.steps.blockers.map { "\(source.name): \($0)" } },
            leftOut: try SourceSelection.leftOut(request, from: manifest) { try registry.isData($0) })
    }

    private func steps(
        _ source: Manifest.Source, _ bundle: any OpenedBundle, _ request: RestoreRequest, _ plan: Plan,
        _ restoreID: String
    ) async throws -> SourceRestorePlan {
        func blocked(_ reason: String) -> SourceRestorePlan {
            SourceRestorePlan(target: "none", origin: source.engine, blockers: [reason])
        }
        guard let settings = plan.sources.first(where: { $0.name == source.name }) else {
            return blocked("the plan '\(plan.name)' has no source '\(source.name)'; add it, or use --to-directory")
        }
        guard settings.adapter == source.adapter else {
            throw Failure(
                .configuration,
                "\(settings.mark): source '\(source.name)' is '\(settings.adapter)' in the plan and "
                    + "'\(source.adapter)' in the bundle")
        }
        guard bundle.sealed[source.name] == nil else {
            let readers = bundle.manifest.recipients(of: source.name).joined(separator: ", ")
            return blocked(
                "no key here opens it, only that of \(readers); restore it where the key is, or leave it out")
        }
        let restore = try await SourceRestores.make(
            source.name, restoreID: restoreID, bundle: bundle, include: request.include,
            rename: request.renames[source.name], scratch: records.scratchPath(restoreID, source: source.name))
        return try await registry.adapter(settings).planRestore(restore)
    }

    private func bytesToFetch(_ sources: [Manifest.Source]) async throws -> UInt64 {
        var total: UInt64 = 0
        var bases: [BundleID: Manifest] = [:]
        for source in sources {
            for stream in source.streams {
                total += stream.storedBytes
                guard let base = stream.base else { continue }
                if bases[base] == nil { bases[base] = try await repository.manifest(base).manifest }
                let full = bases[base]?.sources.first { $0.name == source.name }?.streams.first {
                    $0.name == stream.name
                }
                total += full?.storedBytes ?? 0
            }
        }
        return total
    }

    /// Twice the time the slowest capture took (loading builds indexes, too), or the time for its bytes at 100 MiB/s if
    /// that is longer: a delta's capture says nothing of its base.
    private static func estimate(_ sources: [Manifest.Source]) -> Int {
        sources.map { source in
            let raw = source.streams.reduce(0) { $0 + $1.rawBytes }
            return max(source.finished.seconds(since: source.started) * 2, Double(raw) / Double(100 << 20)) + 1
        }.reduce(0) { $0 + Int($1.rounded(.up)) }
    }
}

/// Makes the adapters' view of a restore.
enum SourceRestores {
    /// - Parameter scratch: the folder for large temporary files; while planning it is only named, not there.
    static func make(
        _ source: String, restoreID: String, bundle: any OpenedBundle, include: [String], rename: String?,
        scratch: String
    ) async throws -> SourceRestore {
        SourceRestore(
            restoreID: restoreID, bundle: bundle.manifest.id, contents: try bundle.part(of: source),
            streams: try await bundle.streams(of: source), include: include, rename: rename, scratchDirectory: scratch)
    }
}
