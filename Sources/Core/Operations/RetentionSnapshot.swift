// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
public import Retention

/// Everything a decision about a plan's bundles needs, as the repository shows it at one moment: manifests, proofs and
/// records whose signatures were checked.
public struct RetentionSnapshot: Sendable {
    public var at: Timestamp
    /// Oldest first.
    public var bundles: [RetentionBundle]
    /// Manifests that count.
    public var manifests: [BundleID: SignedManifest]
    /// Why the manifests of the others do not.
    public var unreadable: [BundleID: Failure]
    /// What the records of bundles that are there, or of which something is left, amount to.
    public var standings: [BundleID: RetentionStanding]
    /// Folders without a manifest.
    public var uncommitted: [BundleID]
    /// Names of the records of all bundles, also of those that are gone.
    public var claims: [BundleID: [RetentionClaim]]

    /// - Parameter known: manifests that were checked before; a manifest never changes.
    public static func load(
        _ plan: Plan, from repository: any RetentionRepository, at now: Timestamp,
        known: [BundleID: SignedManifest] = [:]
    ) async throws -> RetentionSnapshot {
        // The records first: a mark that is seen is older than the listing of bundles that is decided on.
        let claims = try await repository.retentionClaims(plan: plan.name)
        let inventory = try await repository.inventory(plan: plan.name)
        var snapshot = RetentionSnapshot(
            at: now, bundles: [], manifests: [:], unreadable: [:], standings: [:], uncommitted: inventory.uncommitted,
            claims: claims)
        let looking = Looking(repository: repository, at: now)
        for item in try await looking.all(inventory, claims, known) {
            snapshot.standings[item.id] = item.standing
            guard let bundle = item.bundle else { continue }
            snapshot.bundles.append(bundle)
            switch item.manifest {
            case .success(let manifest): snapshot.manifests[item.id] = manifest
            case .failure(let failure): snapshot.unreadable[item.id] = failure
            }
        }
        snapshot.bundles.sort { $0.id < $1.id }
        snapshot.findNarrow(plan)
        return snapshot
    }

    /// A run with `--source` makes a complete bundle of some sources only, which must not stand for a whole one: a source
    /// that the plan has today, and that an older bundle has, must be there.
    private mutating func findNarrow(_ plan: Plan) {
        let expected = Set(plan.sources.map(\.name))
        var seen: Set<String> = []
        for index in bundles.indices where !bundles[index].isImported {
            guard let manifest = manifests[bundles[index].id]?.manifest else { continue }
            let captured = Set(manifest.sources.filter { $0.state == .ok }.map(\.name))
            if !seen.isSubset(of: captured) { bundles[index].isComplete = false }
            seen.formUnion(captured.intersection(expected))
        }
    }

    /// Those of `ids` that are gone without a record that says why.
    func unexplained(
        _ ids: [BundleID], _ repository: any RetentionRepository
    ) async throws -> [BundleID] {
        let present = Set(bundles.map(\.id))
        var missing: [BundleID] = []
        for id in ids where !present.contains(id) {
            if standings[id]?.mark != nil { continue }
            let standing = try await repository.retentionStanding(claims[id] ?? [], of: id, manifest: nil, at: at)
            if standing.mark == nil { missing.append(id) }
        }
        return missing
    }
}

/// Reads what belongs to each bundle, some at a time.
private struct Looking: Sendable {
    let repository: any RetentionRepository
    let at: Timestamp

    struct Item: Sendable {
        var id: BundleID
        var manifest: Result<SignedManifest, Failure>
        var standing: RetentionStanding
        /// Nil for a folder without a manifest.
        var bundle: RetentionBundle?
    }

    func all(
        _ inventory: BundleInventory, _ claims: [BundleID: [RetentionClaim]], _ known: [BundleID: SignedManifest]
    ) async throws -> [Item] {
        try await withThrowingTaskGroup(of: Item?.self) { group in
            var rest = inventory.committed[...]
            func start() {
                guard let id = rest.popFirst() else { return }
                group.addTask {
                    try await committed(id, inventory.claims[id] ?? [], claims[id] ?? [], known[id])
                }
            }
            // Enough to hide a bucket's latency.
            for _ in 0..<8 { start() }
            var items: [Item] = []
            while let item = try await group.next() {
                if let item { items.append(item) }
                start()
            }
            for id in inventory.uncommitted { items.append(try await uncommitted(id, claims[id] ?? [])) }
            return items
        }
    }

    private func uncommitted(_ id: BundleID, _ claims: [RetentionClaim]) async throws -> Item {
        Item(
            id: id, manifest: .failure(Failure(.bundleNotFound, "no manifest")),
            standing: try await repository.retentionStanding(claims, of: id, manifest: nil, at: at))
    }

    /// Nil when the bundle went away meanwhile.
    private func committed(
        _ id: BundleID, _ proofs: [ProofClaim], _ claims: [RetentionClaim], _ known: SignedManifest?
    ) async throws -> Item? {
        let signed: SignedManifest
        do {
            if let known { signed = known } else { signed = try await repository.manifest(id) }
        } catch let failure as Failure where failure.code.exitStatus == .integrity || failure.code.exitStatus == .key {
            let digest = try await repository.manifestDigest(id)
            let standing = try await repository.retentionStanding(claims, of: id, manifest: digest, at: at)
            var bundle = RetentionBundle(id: id, isReadable: false)
            bundle.hold = standing.hold
            bundle.deletion = Self.deletion(standing)
            return Item(id: id, manifest: .failure(failure), standing: standing, bundle: bundle)
        } catch let failure as Failure where failure.code == .bundleNotFound {
            // Another prune's work, or not: whoever compares with what was there before finds out.
            return nil
        }
        let standing = try await repository.retentionStanding(claims, of: id, manifest: signed.sha256, at: at)
        let proof = try await ProofStanding.of(proofs) { claim in
            do {
                _ = try await repository.proof(claim, of: signed, at: at)
                return true
            } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
                return false
            }
        }
        var bundle = RetentionBundle(signed.manifest)
        bundle.proven = proof.proven?.level
        bundle.hasProblems = proof.problems != nil
        bundle.hold = standing.hold
        bundle.deletion = Self.deletion(standing)
        return Item(id: id, manifest: .success(signed), standing: standing, bundle: bundle)
    }

    private static func deletion(_ standing: RetentionStanding) -> String? {
        guard let mark = standing.mark, mark.kind == .deleted else { return nil }
        return "deleted on \(mark.at)\(mark.reason.isEmpty ? "" : ": \(mark.reason)")"
    }
}
