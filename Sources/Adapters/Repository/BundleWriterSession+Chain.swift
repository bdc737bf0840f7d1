// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import LocalState

/// The bundle before this one.
extension BundleWriterSession {
    /// The plan's newest bundle in the store. What this host remembers must still be there: a chain that was cut is said
    /// aloud, by validation too, but must not stop tonight's backup.
    func previous() async throws -> Manifest.Previous? {
        // An imported bundle takes its place by the time of its data, among what is there.
        let remembered = run.origin == nil ? try state.lastCommitted() : nil
        if isBlind {
            if remembered == nil {
                note("this host does not know the plan's last bundle: a chain begins anew with \(run.id)")
            }
            return remembered
        }
        let listed = try await repository.bundles(plan: plan.name).last { $0 < run.id }
        guard let listed else {
            if let remembered { note("the plan's last bundle \(remembered.id) is gone from the repository") }
            return remembered
        }
        if let remembered, remembered.id >= listed {
            if remembered.id > listed, try await !repository.isMarked(remembered.id, at: run.id.started) {
                note("the plan's last bundle \(remembered.id) is gone from the repository")
            }
            return remembered
        }
        if let remembered, try await descends(remembered, from: listed) { return remembered }
        let bytes = try await repository.store.get(BundleLayout.key(listed, BundleLayout.manifest))
        return Manifest.Previous(id: listed, sha256: SHA256Digest.of(bytes))
    }

    /// Whether the bundle this host remembers was made after `other`, whose name is younger: then the clock was set back in
    /// between, and the chain goes on from what was committed last.
    func descends(_ remembered: Manifest.Previous, from other: BundleID) async throws -> Bool {
        var id = remembered.id
        // As many nights as a wrong clock may go unnoticed; further back the names decide.
        for _ in 0..<30 {
            guard case .success(let manifest) = try await repository.unchecked(id), let before = manifest.previous
            else {
                return false
            }
            if before.id == other { return true }
            id = before.id
        }
        return false
    }
}
