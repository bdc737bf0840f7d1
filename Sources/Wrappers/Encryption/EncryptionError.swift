// SPDX-License-Identifier: Apache-2.0

/// What can go wrong with keys, encryption, decryption and signatures. Keys are named by fingerprint or file.
public enum EncryptionError: Error, Sendable, Equatable {
    // Keys.
    case keyNotFound(String)
    /// The name fits several keys, or the file holds several.
    case keyAmbiguous(String)
    /// Expired at `at`, in seconds since 1970.
    case keyExpired(String, at: Int64?)
    case keyRevoked(String)
    case keyDisabled(String)
    /// gpg calls the key itself invalid: no valid self-signature, say.
    case keyInvalid(String)
    case keyCannotEncrypt(String)
    case keyCannotSign(String)
    case noRecipients
    /// A file that should hold a public key does not.
    case keyFile(path: String, reason: String)

    // Encrypting and signing.
    case sealFailed(String)
    case signingFailed(String)
    case keyGenerationFailed(String)

    // Decrypting.
    /// None of the message's recipients has its secret key here; key ids as the message names them.
    case noSecretKey([String])
    /// The secret key is here, but gpg-agent could not use it: no or a wrong passphrase, nobody to ask for it, no card.
    case keyLocked(String)
    case damaged(String)
    case truncated
    case tooLarge(limit: Int)

    // Verifying.
    case signatureBad
    case signatureMissing
    /// Made by a key that is not known here; named as the signature names it.
    case signatureByUnknownKey(String)
    case signatureByExpiredKey(String)
    case signatureByRevokedKey(String)
    case signatureExpired(String)

    // Surroundings.
    case programMissing(String)
    case programFailed(program: String, reason: String)
    case library(call: String, reason: String)
    case file(path: String, call: String, reason: String)
    /// The folder for an ephemeral key is on a disk.
    case notMemoryBacked(path: String)
}

extension EncryptionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .keyNotFound(let key): "key '\(key)' is not in the keyring"
        case .keyAmbiguous(let key): "'\(key)' names more than one key"
        case .keyExpired(let key, let at): "key \(key) expired" + (at.map { " at \($0) (seconds since 1970)" } ?? "")
        case .keyRevoked(let key): "key \(key) is revoked"
        case .keyDisabled(let key): "key \(key) is disabled"
        case .keyInvalid(let key): "key \(key) is not valid"
        case .keyCannotEncrypt(let key): "key \(key) has no part for encryption"
        case .keyCannotSign(let key): "key \(key) has no secret part for signing here"
        case .noRecipients: "there is no recipient"
        case .keyFile(let path, let reason): "no public key in '\(path)': \(reason)"
        case .sealFailed(let reason): "encryption failed: \(reason)"
        case .signingFailed(let reason): "signing failed: \(reason)"
        case .keyGenerationFailed(let reason): "making a key failed: \(reason)"
        case .noSecretKey(let ids):
            "no secret key here decrypts the message"
                + (ids.isEmpty ? "" : " (made for \(ids.joined(separator: ", ")))")
        case .keyLocked(let reason): "the secret key cannot be unlocked: \(reason)"
        case .damaged(let reason): "the message is damaged: \(reason)"
        case .truncated: "the message is truncated"
        case .tooLarge(let limit): "the message holds more than \(limit) bytes"
        case .signatureBad: "the signature does not fit the bytes"
        case .signatureMissing: "there is not exactly one signature"
        case .signatureByUnknownKey(let key): "the signature is by key \(key), which is not known here"
        case .signatureByExpiredKey(let key): "the signature is by key \(key), which has expired"
        case .signatureByRevokedKey(let key): "the signature is by key \(key), which is revoked"
        case .signatureExpired(let key): "the signature by key \(key) has expired"
        case .programMissing(let reason): "unable to start gpg: \(reason)"
        case .programFailed(let program, let reason): "\(program) failed: \(reason)"
        case .library(let call, let reason): "gpgme failed in \(call): \(reason)"
        case .file(let path, let call, let reason): "unable to \(call) '\(path)': \(reason)"
        case .notMemoryBacked(let path): "'\(path)' is not kept in memory"
        }
    }
}
