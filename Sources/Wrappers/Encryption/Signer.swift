// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CGpgme

/// Makes detached signatures with one secret key; gpg-agent holds it and, if it has one, asks for its passphrase.
public struct Signer: Sendable {
    /// The key it signs with.
    public let key: PublicKey
    private let keyring: Keyring

    /// - Throws: `EncryptionError` when `fingerprint` cannot sign here today.
    public init(_ fingerprint: String, in keyring: Keyring) async throws {
        self.keyring = keyring
        key = try await keyring.signingKey(fingerprint)
    }

    /// A detached signature over `bytes`, as OpenPGP packets.
    ///
    /// - Throws: `EncryptionError.signingFailed`.
    public func sign(_ bytes: [UInt8]) async throws -> [UInt8] {
        let (home, fingerprint) = (keyring.home, key.fingerprint)
        return try await Blocking.run {
            let context = try GpgmeContext(home: home)
            var secret: gpgme_key_t?
            try EncryptionLibrary.check("gpgme_get_key", gpgme_get_key(context.pointer, fingerprint, &secret, 1))
            defer { gpgme_key_unref(secret) }
            try EncryptionLibrary.check("gpgme_signers_add", gpgme_signers_add(context.pointer, secret))
            let (plain, signature) = (try GpgmeData(bytes), try GpgmeData())
            let error = gpgme_op_sign(context.pointer, plain.handle, signature.handle, GPGME_SIG_MODE_DETACH)
            guard gpgme_err_code(error) == GPG_ERR_NO_ERROR else {
                throw EncryptionError.signingFailed(EncryptionLibrary.reason(error))
            }
            // gpgme may report success and yet list signers it could not use (its manual, "Creating a Signature").
            guard let result = gpgme_op_sign_result(context.pointer)?.pointee, result.invalid_signers == nil,
                let made = result.signatures, made.pointee.next == nil
            else { throw EncryptionError.signingFailed("gpg made no signature with \(fingerprint)") }
            let packets = signature.takeBytes()
            guard !packets.isEmpty else { throw EncryptionError.signingFailed("gpg gave no bytes") }
            return packets
        }
    }
}
