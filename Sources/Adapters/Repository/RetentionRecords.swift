// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Encryption

/// Records of holds and removals, `holds/` and `prunes/` (docs/format.md). They lie outside the bundles' folders, because
/// they explain why a bundle is gone.
extension FormatRepository: RetentionRepository {
    public func inventory(plan: String) async throws -> BundleInventory {
        let listing = try await listing(plan: plan)
        let committed = await listing.bundles
        var claims: [BundleID: [ProofClaim]] = [:]
        for id in committed { claims[id] = await listing.claims(id, unsigned: true) }
        return BundleInventory(committed: committed, uncommitted: await listing.uncommitted, claims: claims)
    }

    public func retentionClaims(plan: String) async throws -> [BundleID: [RetentionClaim]] {
        let listing = RecordListing()
        for track in RetentionRecord.Track.allCases {
            try await store.list("\(track.rawValue)/\(plan)/") { await listing.add($0) }
        }
        return await listing.claims
    }

    public func retentionClaims(of id: BundleID) async throws -> [RetentionClaim] {
        let listing = RecordListing()
        for track in RetentionRecord.Track.allCases {
            try await store.list("\(BundleLayout.records(track, id))/") { await listing.add($0) }
        }
        return await listing.claims[id] ?? []
    }

    public func retentionRecord(_ claim: RetentionClaim, of id: BundleID) async throws -> RetentionRecord {
        let key = BundleLayout.record(claim, id)
        let what = "retention record '\(claim.name)' of \(id)"
        let record = try await signedRecord(
            RetentionRecord.self, at: key, what, "Find out who wrote it; nothing is removed by it.")
        guard claim.agrees(with: record), record.bundle == id,
            record.repository == (try await descriptor().id)
        else {
            throw Failure(.signatureInvalid, "\(what) does not say what was signed, or is about another bundle")
        }
        return record
    }

    public func record(_ record: RetentionRecord, plan: Plan) async throws -> RetentionRecord {
        try await sign(record, plan: plan, "Prune where a trusted signing key is") {
            BundleLayout.record(RetentionClaim($0), $0.bundle)
        }
    }

    public func recipients(of plan: Plan) async throws -> Set<String> {
        try await KeyFailures.translating {
            var fingerprints: Set<String> = []
            for name in plan.allRecipients {
                fingerprints.insert(try await keyring.recipient(name).key.fingerprint)
            }
            return fingerprints
        }
    }

    /// Whether names claim that a bundle is to be removed, or was to be until shortly before `now`: whoever removes may have
    /// looked before the mark was taken back. A claim is enough to leave it alone.
    func isMarked(_ id: BundleID, at now: Timestamp) async throws -> Bool {
        let listing = RecordListing()
        try await store.list("\(BundleLayout.records(.prunes, id))/") { await listing.add($0) }
        let claims = RetentionClaim.newestFirst(await listing.claims[id] ?? [], .prunes)
        guard let newest = claims.first else { return false }
        guard newest.protects else { return true }
        return claims.contains { !$0.protects } && now.seconds(since: newest.at) < RetentionTimes.hour
    }

    /// Whether a signed record explains why a bundle with this manifest is gone.
    func isExplained(_ previous: Manifest.Previous) async throws -> Bool {
        let claims = try await retentionClaims(of: previous.id)
        // What is gone was removed after its mark, so no mark of the future can be meant: the record's own time will do.
        let now = claims.map(\.at).max() ?? previous.id.started
        guard let mark = try await retentionStanding(claims, of: previous.id, manifest: nil, at: now).mark else {
            return false
        }
        // An operator gives up damaged ones, too, whose manifest is not the one that was linked to.
        return mark.kind == .deleted || mark.manifest == previous.sha256
    }
}

/// Retention records in a listing.
private actor RecordListing {
    var claims: [BundleID: [RetentionClaim]] = [:]

    func add(_ page: [StoredObject]) {
        for object in page {
            // <holds|prunes>/<plan>/<id>/<name>.json
            let parts = object.key.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[3].hasSuffix(".json"), object.size <= BundleLayout.proofLimit,
                let id = BundleID(String(parts[2])), id.plan == parts[1],
                let claim = RetentionClaim(name: String(parts[3].dropLast(5))),
                claim.kind.track.rawValue == parts[0]
            else { continue }
            claims[id, default: []].append(claim)
        }
    }
}
