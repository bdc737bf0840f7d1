// SPDX-License-Identifier: Apache-2.0
public import Domain

extension FormatRepository {
    public func summaries(plan: String?) async throws -> [(id: BundleID, manifest: Result<Manifest, Failure>)] {
        let ids = try await bundles(plan: plan)
        return try await withThrowingTaskGroup(of: (Int, Result<Manifest, Failure>).self) { group in
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
            return ids.enumerated().compactMap { index, id in results[index].map { (id, $0) } }
        }
    }

    /// A manifest whose signature nobody looked at. Damage is a result; an unreachable store is thrown.
    private func unchecked(_ id: BundleID) async throws -> Result<Manifest, Failure> {
        do {
            let bytes = try await store.get(BundleLayout.key(id, BundleLayout.manifest))
            return .success(try CanonicalJSON.decode(Manifest.self, from: bytes, name: BundleLayout.manifest))
        } catch let failure as Failure where [.integrity, .notFound].contains(failure.code.exitStatus) {
            return .failure(failure)
        }
    }
}
