// SPDX-License-Identifier: Apache-2.0
import Archiving
import Compression
import Domain
import Encryption
import FileSystem

/// What the wrappers' errors mean to somebody who exports or imports.
enum ExportFailures {
    static func failure(_ error: EncryptionError) -> Failure {
        let (code, hint): (Failure.Code, String) =
            switch error {
            case .keyNotFound:
                (.keyMissing, "Import it ('gpg --import FILE') into the keyring salvor uses ($GNUPGHOME).")
            case .keyFile: (.keyMissing, "Name a file that holds one public key.")
            case .keyExpired: (.keyExpired, "Extend it ('gpg --quick-set-expire') or name another key.")
            case .keyRevoked: (.keyRevoked, "Name another key.")
            case .signingFailed: (.signingFailed, "Check that gpg-agent can use the signing key without asking.")
            case .programMissing: (.programMissing, "Install gnupg.")
            case .noSecretKey:
                (.noDecryptionKey, "Point GNUPGHOME at a keyring with a secret key that the file was encrypted to.")
            case .keyLocked: (.noDecryptionKey, "Enter the passphrase when gpg-agent asks, or unlock the key first.")
            case .signatureByUnknownKey:
                (
                    .keyMissing,
                    "Import the exporter's public key after comparing its fingerprint with what its owner says."
                )
            case .signatureBad, .signatureMissing, .signatureByExpiredKey, .signatureByRevokedKey, .signatureExpired:
                (.signatureInvalid, "Do not trust this file; nothing was imported.")
            case .damaged, .truncated, .tooLarge:
                (.integrity, "Ask for the file again, and compare its SHA-256; nothing was imported.")
            case .sealFailed: (.programFailed, "Check the recipients with 'gpg --list-keys'.")
            default: (.keyUnusable, "Check 'gpg --list-keys'.")
            }
        return Failure(code, error.description, hint: hint)
    }

    /// An error of any layer, said of the file `name`.
    static func reading(_ error: any Error, _ name: String) -> any Error {
        switch error {
        case let error as EncryptionError: failure(error).prefixed("'\(name)'")
        case is CompressionError, is ArchiveError:
            Failure(
                .integrity, "'\(name)' is no export of salvor, or a damaged one: \(error)",
                hint: "Ask for the file again, and compare its SHA-256; nothing was imported.")
        case let error as SystemError: Failure(.localInput, "unable to read '\(name)': \(error)")
        default: error
        }
    }

    /// The same for a file that is being written.
    static func writing(_ error: any Error, _ name: String) -> any Error {
        switch error {
        case let error as EncryptionError: failure(error)
        case is CompressionError, is ArchiveError:
            Failure(
                .internalError, "unable to make '\(name)': \(error)",
                hint: "Suspect this machine's memory or its libraries; no file was left.")
        case let error as SystemError:
            Failure([28, 122].contains(error.code) ? .localSpace : .localInput, "unable to write '\(name)': \(error)")
        default: error
        }
    }
}
