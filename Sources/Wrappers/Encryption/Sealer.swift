// SPDX-License-Identifier: Apache-2.0
import Programs

/// Encrypts buffers to a fixed set of recipients, one OpenPGP message each, readable by any gpg of the last 15 years:
/// AES-256, no compression, integrity protected (packet 18, never the newer OCB packet). May be used from many tasks at
/// once; every message is a `gpg` process of its own, about 4 ms to start.
///
/// The public keys lie as files in a private folder, so neither the user's keyring nor its lock is touched.
public final class Sealer: Sendable {
    /// Whom it encrypts to.
    public let recipients: [Recipient]
    private let home: PrivateHome
    private let arguments: [String]

    /// - Parameter recipients: one message goes to all of them; each was looked up in a `Keyring`.
    /// - Throws: `EncryptionError` when one of them cannot be encrypted to today, or there is none.
    public init(recipients: [Recipient]) throws {
        guard !recipients.isEmpty else { throw EncryptionError.noRecipients }
        for recipient in recipients { try recipient.key.checkCanEncrypt() }
        self.recipients = recipients
        home = try PrivateHome(prefix: "salvor-seal")
        var files: [String] = []
        for (index, recipient) in recipients.enumerated() {
            files += ["--recipient-file", try home.write("\(index).gpg", recipient.publicKey)]
        }
        // --rfc4880 comes first, since it resets the options behind it; it is what keeps gpg 2.4 from choosing OCB.
        arguments =
            [
                "--rfc4880", "--compress-algo", "none", "--cipher-algo", "AES256", "--trust-model", "always",
                "--no-auto-check-trustdb", "--no-keyring", "--lock-never",
            ] + files + ["--encrypt"]
    }

    /// One message around `plain`.
    ///
    /// - Throws: `EncryptionError.sealFailed` unless gpg said so by status and exit, and the message has the form it
    ///   must have; `CancellationError`.
    public func seal(_ plain: [UInt8]) async throws -> [UInt8] {
        // Partial lengths add a byte to 8 KiB; a session key for a 4096-bit RSA key takes 524 bytes.
        let capacity = plain.count + plain.count / 1024 + 1100 * recipients.count + 4096
        let outcome = try await GpgProgram.run(
            arguments, home: home.path, input: plain, capacity: capacity, mayAsk: false)
        guard outcome.succeeded, outcome.has("END_ENCRYPTION"), !outcome.has("INV_RECP"),
            outcome.all("BEGIN_ENCRYPTION").first?.elementsEqual(["2", "9"]) == true
        else { throw EncryptionError.sealFailed(outcome.lastWords) }
        let message = outcome.output
        guard message.count > plain.count else { throw EncryptionError.sealFailed("the message is too short") }
        let expected =
            [UInt8](repeating: MessageFraming.sessionKey, count: recipients.count) + [MessageFraming.protectedData]
        let tags = try MessageFraming.tags(message)
        guard tags == expected else { throw EncryptionError.sealFailed("unexpected packets \(tags)") }
        return message
    }
}
