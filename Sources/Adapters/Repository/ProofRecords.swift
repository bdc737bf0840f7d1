// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Records of validations, `<bundle folder>/proofs/` (docs/format.md).
extension FormatRepository {
    public func proofClaims(plan: String?) async throws -> [BundleID: [ProofClaim]] {
        let listing = try await listing(plan: plan)
        var claims: [BundleID: [ProofClaim]] = [:]
        for id in await listing.bundles { claims[id] = await listing.claims(id, unsigned: true) }
        return claims
    }

    public func proofClaims(of id: BundleID) async throws -> [ProofClaim] {
        let listing = BundleListing()
        try await store.list(BundleLayout.key(id, BundleLayout.proofs) + "/") { await listing.add($0) }
        return await listing.claims(id, unsigned: true)
    }

    public func proof(_ claim: ProofClaim, of manifest: SignedManifest, at now: Timestamp) async throws -> ProofRecord {
        let bundle = manifest.manifest.id
        let key = BundleLayout.key(bundle, BundleLayout.proof(claim))
        let what = "proof record '\(claim.name)'"
        if let contradiction = claim.contradiction(of: bundle, at: now) {
            throw Failure(.integrity, "\(what) \(contradiction)")
        }
        let record = try await signedRecord(
            ProofRecord.self, at: key, what, "Validate the bundle again; find out who wrote it.")
        guard claim.agrees(with: record) else {
            throw Failure(.signatureInvalid, "\(what) does not say what was signed")
        }
        guard record.bundle == bundle, record.manifest == manifest.sha256,
            record.repository == manifest.manifest.repository
        else {
            throw Failure(.signatureInvalid, "\(what) is about another bundle (\(record.bundle)) or manifest")
        }
        return record
    }

    public func record(_ proof: ProofRecord, plan: Plan) async throws -> ProofRecord {
        try await sign(proof, plan: plan, Self.proofRemedy, key: Self.proofKey)
    }

    /// Signs and stores the record of a proof at birth.
    func store(
        _ proof: ProofRecord, signer: String, in descriptor: RepositoryDescriptor
    ) async throws -> ProofRecord {
        try await sign(proof, signer: signer, in: descriptor, Self.proofRemedy, key: Self.proofKey)
    }

    private static let proofRemedy = "Validate where the host's signing key is"

    private static func proofKey(_ record: ProofRecord) -> String {
        BundleLayout.key(record.bundle, BundleLayout.proof(ProofClaim(record)))
    }
}
