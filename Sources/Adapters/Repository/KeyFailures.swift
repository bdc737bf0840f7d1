// SPDX-License-Identifier: Apache-2.0
import Domain
import Encryption

/// What the encryption wrapper's errors mean to an operator.
enum KeyFailures {
    /// Runs `body`, its key errors told as failures.
    static func translating<Result>(_ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch let error as EncryptionError { throw failure(error) }
    }

    static func failure(_ error: EncryptionError) -> Failure {
        let (code, hint): (Failure.Code, String) =
            switch error {
            case .keyNotFound:
                (
                    .keyMissing,
                    "Import it ('gpg --import FILE') into the keyring salvor uses ($GNUPGHOME), or fix the plan."
                )
            case .keyExpired: (.keyExpired, "Extend it ('gpg --quick-set-expire') or name another key in the plan.")
            case .keyRevoked: (.keyRevoked, "Name another key in the plan's 'encryption'.")
            case .keyFile: (.keyMissing, "'salvor init --generate-keys' makes the keys that are missing.")
            case .keyAmbiguous, .keyDisabled, .keyInvalid, .keyCannotEncrypt, .keyCannotSign, .noRecipients:
                (.keyUnusable, "Check 'encryption' in the plan and 'gpg --list-keys'.")
            case .signingFailed: (.signingFailed, "Check that gpg-agent can use the signing key without asking.")
            case .programMissing: (.programMissing, "Install gnupg.")
            case .noSecretKey: (.noDecryptionKey, noKeyHint)
            case .keyLocked:
                (
                    .noDecryptionKey,
                    "Enter the passphrase when gpg-agent asks; without a terminal, unlock the key in another one first."
                )
            default: (.keyUnusable, "Check 'gpg --list-keys' and 'salvor doctor'.")
            }
        return Failure(code, error.description, hint: hint)
    }

    /// An object that would not open.
    static func opening(_ error: EncryptionError, _ object: String) -> Failure {
        switch error {
        case .noSecretKey: Failure(.noDecryptionKey, "no key here opens '\(object)'", hint: noKeyHint)
        case .damaged, .truncated, .tooLarge: Failure(.integrity, "'\(object)' does not decrypt: \(error)")
        default: failure(error)
        }
    }

    static let distrustBundle = "Do not trust this bundle; try another."

    /// A signature that does not count.
    static func verifying(_ error: EncryptionError, _ what: String, _ distrust: String) -> Failure {
        switch error {
        case .signatureByUnknownKey:
            Failure(
                .keyMissing, "\(what): \(error)",
                hint: "Import the signer's public key, from your recovery sheet or the repository's keys/ folder "
                    + "after comparing its fingerprint with the sheet.")
        case .signatureBad, .signatureMissing, .signatureByExpiredKey, .signatureByRevokedKey, .signatureExpired,
            .damaged, .truncated, .library:
            // gpgme reports a signature that is no OpenPGP at all as an error of the call.
            Failure(.signatureInvalid, "\(what): \(error)", hint: distrust)
        default: failure(error)
        }
    }

    private static let noKeyHint =
        "Point GNUPGHOME at a keyring with a recipient's secret key; backup hosts do not have one on purpose."
}
