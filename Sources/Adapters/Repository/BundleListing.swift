// SPDX-License-Identifier: Apache-2.0
import Domain

/// What one listing of a repository's keys shows: which bundles are committed, and which proofs are claimed of them.
actor BundleListing {
    private var ids: Set<BundleID> = []
    private var folders: Set<BundleID> = []
    private var records: [BundleID: Set<String>] = [:]
    private var signatures: [BundleID: Set<String>] = [:]

    func add(_ page: [StoredObject]) {
        for object in page {
            let parts = object.key.split(separator: "/", omittingEmptySubsequences: false)
            // bundles/<plan>/<yyyy>/<mm>/<dd>/<id>/manifest.json, …/proofs/<name>.json and its .sig
            if parts.count >= 7, let id = BundleID(String(parts[5])), object.key.hasPrefix(id.folder + "/") {
                folders.insert(id)
            }
            guard parts.count == 7 || parts.count == 8, let id = BundleID(String(parts[5])) else { continue }
            let file = String(parts[parts.count - 1])
            if parts.count == 7 {
                if file == BundleLayout.manifest { ids.insert(id) }
            } else if parts[6] == BundleLayout.proofs[...] {
                if let name = file.droppingSuffix(".json"), object.size <= BundleLayout.proofLimit {
                    records[id, default: []].insert(name)
                } else if let name = file.droppingSuffix(".json.sig") {
                    signatures[id, default: []].insert(name)
                }
            }
        }
    }

    /// Committed bundles, oldest first.
    var bundles: [BundleID] { ids.sorted() }

    /// Folders of bundles without a manifest, oldest first.
    var uncommitted: [BundleID] { folders.subtracting(ids).sorted() }

    /// Claims of one bundle, oldest first. Without `unsigned`, those with nothing beside them that could be a signature
    /// are left out.
    func claims(_ id: BundleID, unsigned: Bool = false) -> [ProofClaim] {
        var names = records[id] ?? []
        if !unsigned { names.formIntersection(signatures[id] ?? []) }
        return names.sorted().compactMap { ProofClaim(name: $0) }
    }
}

extension String {
    fileprivate func droppingSuffix(_ suffix: String) -> String? {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
    }
}
