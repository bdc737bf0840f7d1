// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CGpgme

/// Who signed, as far as cryptography goes; whether that one is trusted is for the caller to compare.
public struct VerifiedSignature: Sendable, Equatable {
    /// The primary key's fingerprint of the signer.
    public var signer: String
    /// When it was made, by the signer's clock, in seconds since 1970.
    public var made: Int64
}

/// Checks detached signatures against the public keys of one keyring.
public struct SignatureVerifier: Sendable {
    private let keyring: Keyring

    public init(_ keyring: Keyring) {
        self.keyring = keyring
    }

    /// Who signed `bytes`. A good answer counts for five minutes, unless the keyring changes.
    ///
    /// - Throws: `EncryptionError.signature…` unless exactly one good signature by a known, unexpired, unrevoked key is
    ///   there.
    public func verify(_ bytes: [UInt8], signature: [UInt8]) async throws -> VerifiedSignature {
        let key = SignatureMemory.key(bytes, signature, home: keyring.home)
        if let known = key.flatMap(SignatureMemory.shared.signature) { return known }
        let verified = try await check(bytes, signature)
        if let key { SignatureMemory.shared.remember(verified, key) }
        return verified
    }

    private func check(_ bytes: [UInt8], _ signature: [UInt8]) async throws -> VerifiedSignature {
        try await Blocking.run { [home = keyring.home] in
            let context = try GpgmeContext(home: home)
            let (plain, packets) = (try GpgmeData(bytes), try GpgmeData(signature))
            let error = gpgme_op_verify(context.pointer, packets.handle, plain.handle, nil)
            switch gpgme_err_code(error) {
            case GPG_ERR_NO_ERROR: break
            case GPG_ERR_NO_DATA, GPG_ERR_BAD_DATA: throw EncryptionError.signatureMissing
            default: try EncryptionLibrary.check("gpgme_op_verify", error)
            }
            guard let found = gpgme_op_verify_result(context.pointer)?.pointee.signatures, found.pointee.next == nil
            else { throw EncryptionError.signatureMissing }
            let name = found.pointee.fpr.map { String(cString: $0) } ?? ""
            switch gpgme_err_code(found.pointee.status) {
            case GPG_ERR_NO_ERROR: break
            case GPG_ERR_BAD_SIGNATURE: throw EncryptionError.signatureBad
            case GPG_ERR_NO_PUBKEY: throw EncryptionError.signatureByUnknownKey(name)
            case GPG_ERR_KEY_EXPIRED: throw EncryptionError.signatureByExpiredKey(name)
            case GPG_ERR_CERT_REVOKED: throw EncryptionError.signatureByRevokedKey(name)
            case GPG_ERR_SIG_EXPIRED: throw EncryptionError.signatureExpired(name)
            default:
                throw EncryptionError.library(
                    call: "gpgme_op_verify", reason: EncryptionLibrary.reason(found.pointee.status))
            }
            var key: gpgme_key_t?
            try EncryptionLibrary.check("gpgme_get_key", gpgme_get_key(context.pointer, name, &key, 0))
            defer { gpgme_key_unref(key) }
            guard let key, let signer = PublicKey(key) else { throw EncryptionError.signatureByUnknownKey(name) }
            return VerifiedSignature(signer: signer.fingerprint, made: Int64(found.pointee.timestamp))
        }
    }
}
