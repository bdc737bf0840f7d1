// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Encryption

/// Whom the keys that count vouch for, looked up once, and only when a signature is by none of these keys.
actor SignerBook {
    /// Tasks, so that many who ask at once wait for one answer.
    private var loading: Task<[KnownSigner], any Error>?
    private var lending: Task<Keyring, any Error>?
    private var ring: BorrowedKeyring?
    private var borrowedKeys: Set<String> = []
    /// Bytes of a record, at most.
    private static let limit: UInt64 = 64 << 10

    /// Looks again the next time.
    func forget() { (loading, lending) = (nil, nil) }

    /// Every key that somebody vouches for; with a problem, where that does not count.
    func entries(_ repository: FormatRepository, roots: [String]) async throws -> [KnownSigner] {
        let task = loading ?? Task { try await load(repository, roots) }
        loading = task
        do { return try await task.value } catch {
            // A store that does not answer now may later.
            loading = nil
            throw error
        }
    }

    private func load(_ repository: FormatRepository, _ roots: [String]) async throws -> [KnownSigner] {
        let claims = try await claims(repository)
        var trusted = Set(roots)
        var found: [KnownSigner] = []
        var rest = claims.filter { !trusted.contains($0.subject) }
        // Whoever is vouched for may vouch in turn: as long as that finds somebody new.
        while let index = rest.firstIndex(where: { trusted.contains($0.voucher) && !trusted.contains($0.subject) }) {
            let claim = rest.remove(at: index)
            var signer = KnownSigner(fingerprint: claim.subject, trust: .vouched, by: claim.voucher)
            do {
                let record = try await record(claim, repository)
                (signer.since, signer.comment) = (record.at, record.comment)
                trusted.insert(claim.subject)
            } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
                (signer.trust, signer.problem) = (.none, failure.summary)
            }
            found.append(signer)
        }
        for claim in rest where !trusted.contains(claim.subject) {
            found.append(
                KnownSigner(
                    fingerprint: claim.subject, trust: .none, by: claim.voucher,
                    problem: "\(claim.voucher), which vouches for it, does not count here"))
        }
        return found
    }

    /// A keyring with the public keys of all that are vouched for, and of the one that the plan names, as the repository has
    /// them. Each was compared with the fingerprint that is trusted.
    func keyring(_ repository: FormatRepository, roots: [String]) async throws -> Keyring {
        let task = lending ?? Task { try await lend(repository, roots) }
        lending = task
        do { return try await task.value } catch {
            lending = nil
            throw error
        }
    }

    private func lend(_ repository: FormatRepository, _ roots: [String]) async throws -> Keyring {
        let entries = try await entries(repository, roots: roots)
        for signer in entries where signer.problem == nil { try await borrow(signer.fingerprint, repository) }
        // Keys that only the descriptor names come with the same store: an operator has to bring these.
        if let named = repository.trustedSigner { try await borrow(named, repository) }
        return try borrowed().keyring
    }

    private func borrow(_ fingerprint: String, _ repository: FormatRepository) async throws {
        guard borrowedKeys.insert(fingerprint).inserted else { return }
        do {
            let bytes = try await repository.publicKey(fingerprint)
            let ring = try borrowed().keyring
            do { try await ring.add(bytes) } catch let error as EncryptionError { throw KeyFailures.failure(error) }
        } catch let failure as Failure where [.integrity, .key].contains(failure.code.exitStatus) {
            // Then it is unknown, which is what will be said.
        }
    }

    private func borrowed() throws -> BorrowedKeyring {
        if let ring { return ring }
        do {
            let made = try BorrowedKeyring()
            ring = made
            return made
        } catch let error as EncryptionError {
            throw KeyFailures.failure(error)
        }
    }

    private struct Claim: Sendable {
        var subject: String
        var voucher: String
    }

    private func claims(_ repository: FormatRepository) async throws -> [Claim] {
        try await repository.store.list(BundleLayout.signers).compactMap { object in
            // keys/signers/<subject>/<voucher>.json
            let parts = object.key.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[3].hasSuffix(".json"), object.size <= Self.limit else { return nil }
            return Claim(subject: String(parts[2]), voucher: String(parts[3].dropLast(5)))
        }.sorted { ($0.subject, $0.voucher) < ($1.subject, $1.voucher) }
    }

    /// What a key that counts says of another.
    private func record(_ claim: Claim, _ repository: FormatRepository) async throws -> SignerRecord {
        let key = BundleLayout.signer(claim.subject, by: claim.voucher)
        let what = "what \(claim.voucher) says of \(claim.subject)"
        let bytes = try await repository.store.get(key)
        let signature = try await repository.store.get(key + ".sig")
        let signer = try await signer(of: bytes, signature, what, claim.voucher, repository)
        guard SignaturePacket.isCanonical(signature, over: bytes) else {
            throw Failure(.signatureInvalid, "the signature of \(what) was changed, although it still verifies")
        }
        let record = try CanonicalJSON.decode(SignerRecord.self, from: bytes, name: key)
        guard signer == claim.voucher, record.signer == signer, record.fingerprint == claim.subject,
            record.repository == (try await repository.descriptor().id)
        else { throw Failure(.signatureInvalid, "\(what) is not what was signed, or is about another repository") }
        return record
    }

    private func signer(
        of bytes: [UInt8], _ signature: [UInt8], _ what: String, _ voucher: String, _ repository: FormatRepository
    ) async throws -> String {
        do {
            return try await SignatureVerifier(repository.keyring).verify(bytes, signature: signature).signer
        } catch EncryptionError.signatureByUnknownKey {
            let isRoot = repository.trustedSigner == nil ? try await repository.roots().contains(voucher) : false
            if !isRoot { try await borrow(voucher, repository) }
            do {
                return try await SignatureVerifier(try borrowed().keyring).verify(bytes, signature: signature).signer
            } catch let error as EncryptionError {
                throw KeyFailures.verifying(error, what, "Find out who wrote it.")
            }
        } catch let error as EncryptionError {
            throw KeyFailures.verifying(error, what, "Find out who wrote it.")
        }
    }
}
