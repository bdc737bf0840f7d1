// SPDX-License-Identifier: Apache-2.0
public import Domain
import Encryption

/// Whose signatures count: the key that the plan names, or those of the descriptor; and whom they vouch for, in
/// `keys/signers/` (docs/format.md).
extension FormatRepository: SignerRepository {
    public func signers() async throws -> [KnownSigner] {
        let roots = try await roots()
        var all = roots.map { KnownSigner(fingerprint: $0, trust: trustedSigner == nil ? .descriptor : .plan) }
        let vouched = try await signerBook.entries(self, roots: roots)
        all += vouched.filter { $0.problem == nil }
        // What the store alone says of itself is shown, and counts for nothing beside a key that the plan names.
        let known = Set(all.map(\.fingerprint))
        for fingerprint in try await descriptor().signers where !known.contains(fingerprint) {
            all.append(
                KnownSigner(
                    fingerprint: fingerprint, trust: .none,
                    problem: "the descriptor names it, but nobody whom this plan trusts vouches for it"))
        }
        return all + vouched.filter { $0.problem != nil }
    }

    public func addSigner(_ key: [UInt8], _ record: SignerRecord, plan: Plan) async throws -> SignerRecord {
        let (fingerprint, bytes) = try await KeyFailures.translating {
            let found = try await keyring.recipient(publicKey: key, from: "the public key")
            try found.key.checkSigns()
            let ring = try BorrowedKeyring()
            _ = try await ring.keyring.add(key)
            return (found.key.fingerprint, try await ring.keyring.publicKey(found.key.fingerprint))
        }
        guard record.fingerprint.isEmpty || record.fingerprint == fingerprint else {
            throw Failure(
                .keyUnusable, "the public key is that of \(fingerprint), not of \(record.fingerprint)",
                hint: "Export it anew on its host: gpg --export \(record.fingerprint)")
        }
        let descriptor = try await descriptor()
        let voucher = try await KeyFailures.translating {
            try await RunKeys.usableSigner(plan, keyring, signers: descriptor.signers)
        }
        guard voucher != fingerprint else {
            throw Failure(.usage, "\(fingerprint) is this host's own signing key, which cannot vouch for itself")
        }
        let isThere = try await store.size(of: BundleLayout.signer(fingerprint, by: voucher)) != nil
        guard !isThere else {
            throw Failure(.conflict, "\(voucher) vouches for \(fingerprint) already", hint: "See 'salvor signers'.")
        }
        if try await store.size(of: BundleLayout.publicKey(fingerprint)) == nil {
            try await store.put(BundleLayout.publicKey(fingerprint), bytes)
        }
        var record = record
        record.fingerprint = fingerprint
        let made = try await sign(
            record, signer: voucher, in: descriptor, "Say it where a key is that counts here"
        ) { BundleLayout.signer($0.fingerprint, by: $0.signer) }
        await signerBook.forget()
        return made
    }

    public func publicKey(_ fingerprint: String) async throws -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try await store.get(BundleLayout.publicKey(fingerprint))
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(
                .keyMissing, "\(location) has no public key \(fingerprint)",
                hint: "Export it on its host: gpg --export \(fingerprint)")
        }
        let found = try await KeyFailures.translating {
            try await keyring.recipient(publicKey: bytes, from: BundleLayout.publicKey(fingerprint))
        }
        guard found.key.fingerprint == fingerprint else {
            throw Failure(
                .signatureInvalid,
                "'\(BundleLayout.publicKey(fingerprint))' holds another key, \(found.key.fingerprint)",
                hint: "Find out who wrote it.")
        }
        return bytes
    }

    /// Keys that count by themselves.
    func roots() async throws -> [String] {
        if let trustedSigner { [trustedSigner] } else { try await descriptor().signers }
    }

    /// Whether a key's signatures count here.
    func trusts(_ signer: String) async throws -> Bool {
        let roots = try await roots()
        if roots.contains(signer) { return true }
        // Who may not read knows what it was told.
        if access == .putOnly { return try await descriptor().signers.contains(signer) }
        return try await signerBook.entries(self, roots: roots).contains {
            $0.fingerprint == signer && $0.problem == nil
        }
    }

    /// The fingerprint of the key that signed `what`, which must be one that counts here.
    func verify(_ bytes: [UInt8], _ signature: [UInt8], of what: String, _ distrust: String) async throws -> String {
        var signer: String
        do {
            signer = try await SignatureVerifier(keyring).verify(bytes, signature: signature).signer
        } catch EncryptionError.signatureByUnknownKey(let name) {
            // A key that somebody vouches for need not be in this keyring: the repository has it.
            let borrowed = try await signerBook.keyring(self, roots: try await roots())
            do {
                signer = try await SignatureVerifier(borrowed).verify(bytes, signature: signature).signer
            } catch EncryptionError.signatureByUnknownKey {
                throw try await unknown(name, what)
            } catch let error as EncryptionError {
                throw KeyFailures.verifying(error, what, distrust)
            }
        } catch let error as EncryptionError {
            throw KeyFailures.verifying(error, what, distrust)
        }
        guard SignaturePacket.isCanonical(signature, over: bytes) else {
            throw Failure(.signatureInvalid, "the signature of \(what) was changed, although it still verifies")
        }
        guard try await trusts(signer) else {
            throw Failure(
                .signatureInvalid, "\(what) is signed by \(signer), which this repository does not trust",
                hint: "If that host is yours: 'salvor signers add \(signer)' where a key is that counts here.")
        }
        return signer
    }

    /// Why a signature by a key that nobody has does not count.
    private func unknown(_ name: String, _ what: String) async throws -> Failure {
        for root in try await roots() {
            // Without the keys that count by themselves nobody can tell whose signature it is.
            guard (try? await keyring.publicKey(root)) != nil else {
                return KeyFailures.verifying(EncryptionError.signatureByUnknownKey(name), what, "")
            }
        }
        return Failure(
            .signatureInvalid,
            "\(what) is signed by a key that is unknown here, \(name), and no signer of this repository vouches for it",
            hint: "If that host is yours: 'salvor signers add FILE' with its public key, where a key is that counts.")
    }
}
