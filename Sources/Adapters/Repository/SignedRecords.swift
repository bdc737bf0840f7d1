// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// An object that says one thing for ever, with a detached signature beside it (`KEY.sig`).
protocol SignedRecord: Codable, Sendable, Equatable {
    var repository: String { get set }
    var signer: String { get set }
}

extension ProofRecord: SignedRecord {}
extension RetentionRecord: SignedRecord {}
extension RunRecord: SignedRecord {}
extension SignerRecord: SignedRecord {}

extension FormatRepository {
    /// The record at `key`, signed by a key that counts here and by the one it names. What else it says, such as what it is
    /// about, is for the caller to compare.
    ///
    /// - Parameters:
    ///   - what: for errors.
    ///   - distrust: what to do about one that does not count, one sentence.
    /// - Throws: `Failure(.signatureInvalid)`, `.integrity`, a key's failure.
    func signedRecord<Record: SignedRecord>(
        _ type: Record.Type, at key: String, _ what: String, _ distrust: String
    ) async throws -> Record {
        let bytes = try await store.get(key)
        let signature: [UInt8]
        do {
            signature = try await store.get(key + ".sig")
        } catch let failure as Failure where failure.code == .objectNotFound {
            throw Failure(.signatureInvalid, "\(what) has no signature")
        }
        // The signature first: what nobody trusted has signed is not even read.
        let signer = try await verify(bytes, signature, of: what, distrust)
        let record = try CanonicalJSON.decode(type, from: bytes, name: key)
        guard record.signer == signer else {
            throw Failure(.signatureInvalid, "\(what) does not say what was signed")
        }
        return record
    }

    /// Signs a record with the host's key and stores it.
    ///
    /// - Parameters:
    ///   - remedy: where, or how, to get a signature that counts: one sentence.
    ///   - key: of the record as it is signed.
    func sign<Record: SignedRecord>(
        _ record: Record, plan: Plan, _ remedy: String, key: (Record) -> String
    ) async throws -> Record {
        let descriptor = try await descriptor()
        let signer = try await KeyFailures.translating {
            try await RunKeys.usableSigner(plan, keyring, signers: descriptor.signers)
        }
        return try await sign(record, signer: signer, in: descriptor, remedy, key: key)
    }

    /// As above, with a key that is known.
    func sign<Record: SignedRecord>(
        _ record: Record, signer: String, in descriptor: RepositoryDescriptor, _ remedy: String,
        key: (Record) -> String
    ) async throws -> Record {
        guard try await trusts(signer) else {
            throw Failure(
                .keyUnusable, "the signing key here, \(signer), is none that this repository trusts",
                hint: "\(remedy), or name this one as the plan's 'encryption.signer'.")
        }
        var record = record
        record.repository = descriptor.id
        record.signer = signer
        let bytes = try CanonicalJSON.encode(record)
        let signature = try await sign(bytes, signer: signer)
        let key = key(record)
        try await store.put(key + ".sig", signature)
        // Last: what claims something has its signature beside it.
        do {
            try await store.put(key, bytes, condition: .ifAbsent)
        } catch let failure as Failure where failure.code == .conflict {
            // Stored by an earlier attempt whose answer was lost: the same bytes, and the signature fits them. Who may not
            // look has to take it for that.
            guard access != .putOnly else { return record }
            guard try await store.get(key) == bytes else { throw failure }
        }
        return record
    }
}
