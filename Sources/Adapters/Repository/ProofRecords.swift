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
        let bytes = try await store.get(key)
        let signature: [UInt8]
        do {
            signature = try await store.get(key + ".sig")
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(.signatureInvalid, "\(what) has no signature")
        }
        // The signature first: what nobody trusted has signed is not even read.
        let signer = try await verify(bytes, signature, of: what, "Validate the bundle again; find out who wrote it.")
        let record = try CanonicalJSON.decode(ProofRecord.self, from: bytes, name: key)
        guard record.signer == signer, claim.agrees(with: record) else {
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
        let descriptor = try await descriptor()
        let signer = try await KeyFailures.translating {
            try await RunKeys.usableSigner(plan, keyring, signers: descriptor.signers)
        }
        return try await store(proof, signer: signer, in: descriptor)
    }

    /// Signs and stores a record.
    func store(
        _ proof: ProofRecord, signer: String, in descriptor: RepositoryDescriptor
    ) async throws -> ProofRecord {
        guard try await trustedSigners().contains(signer) else {
            throw Failure(
                .keyUnusable, "the signing key here, \(signer), is none that this repository trusts",
                hint: "Validate where the host's signing key is, or name this one as the plan's 'encryption.signer'.")
        }
        var record = proof
        record.repository = descriptor.id
        record.signer = signer
        let bytes = try CanonicalJSON.encode(record)
        let signature = try await sign(bytes, signer: signer)
        let key = BundleLayout.key(record.bundle, BundleLayout.proof(ProofClaim(record)))
        try await store.put(key + ".sig", signature)
        // Last: what claims something has its signature beside it.
        try await store.put(key, bytes, condition: .ifAbsent)
        return record
    }
}
