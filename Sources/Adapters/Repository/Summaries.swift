// SPDX-License-Identifier: Apache-2.0
public import Domain

extension FormatRepository {
    public func summaries(plan: String?) async throws -> [BundleSummary] {
        let listing = try await listing(plan: plan)
        let ids = await listing.bundles
        let manifests = try await withThrowingTaskGroup(of: (Int, Result<Manifest, Failure>).self) { group in
            var results: [Int: Result<Manifest, Failure>] = [:]
            var started = 0
            func start() {
                guard started < ids.count else { return }
                let index = started
                started += 1
                group.addTask { (index, try await unchecked(ids[index])) }
            }
            // Enough to hide a bucket's latency.
            for _ in 0..<16 { start() }
            while let (index, result) = try await group.next() {
                results[index] = result
                start()
            }
            return results
        }
        var summaries: [BundleSummary] = []
        for (index, id) in ids.enumerated() {
            guard let manifest = manifests[index] else { continue }
            summaries.append(BundleSummary(id: id, manifest: manifest, claims: await listing.claims(id)))
        }
        return summaries
    }

    /// A manifest whose signature nobody looked at. Damage is a result; an unreachable store is thrown.
    func unchecked(_ id: BundleID) async throws -> Result<Manifest, Failure> {
        do {
            let bytes = try await store.get(BundleLayout.key(id, BundleLayout.manifest))
            return .success(try CanonicalJSON.decode(Manifest.self, from: bytes, name: BundleLayout.manifest))
        } catch let failure as Failure where [.integrity, .notFound].contains(failure.code.exitStatus) {
            return .failure(failure)
        }
    }
}
