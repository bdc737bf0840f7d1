// SPDX-License-Identifier: Apache-2.0
import Domain
import Encryption

/// Whom an export goes to and who signs it.
public struct ExportKeys: Sendable {
    let sealer: StreamSealer

    /// Looks all keys up, before anything is written.
    ///
    /// - Parameters:
    ///   - recipients: fingerprints, or `file:PATH` of public keys.
    ///   - signer: fingerprint of the key to sign with; nil: one of `known` that this keyring can sign with, else its only
    ///     secret key.
    ///   - known: fingerprints of the keys that sign for the repository.
    /// - Throws: `Failure` with a code of keys.
    public init(
        recipients: [String], signer: String?, known: [String], gnupgHome: String? = nil
    ) async throws {
        let keyring = Keyring(home: gnupgHome)
        do {
            var found: [Recipient] = []
            for name in recipients {
                let recipient = try await keyring.recipient(name)
                if !found.contains(where: { $0.key.fingerprint == recipient.key.fingerprint }) {
                    found.append(recipient)
                }
            }
            let name = if let signer { signer } else { try await Self.signer(keyring, known) }
            sealer = try await StreamSealer(recipients: found, signer: name, in: keyring)
        } catch let error as EncryptionError {
            throw ExportFailures.failure(error)
        }
    }

    private static func signer(_ keyring: Keyring, _ known: [String]) async throws -> String {
        let keys = try await keyring.secretKeys().filter { $0.parts.contains { $0.canSign && $0.hasSecret } }
        if let key = keys.first(where: { known.contains($0.fingerprint) }) { return key.fingerprint }
        guard let key = keys.first else { throw EncryptionError.keyNotFound("a secret key to sign the export with") }
        guard keys.count == 1 else {
            throw EncryptionError.keyAmbiguous("the keyring's secret key ('--signer' must name one of several)")
        }
        return key.fingerprint
    }
}
