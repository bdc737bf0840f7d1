// SPDX-License-Identifier: Apache-2.0
import CGpgme
import Programs

/// Decrypts messages with the secret keys of one GnuPG folder. May be used from many tasks at once.
public struct Opener: Sendable {
    private let home: String?

    /// - Parameter home: the GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    public init(home: String? = nil) {
        self.home = home
    }

    /// The bytes of one message. gpg's exit status alone proves nothing (a message cut to some ten bytes gives 0 and no
    /// output), so its own statement that all was decrypted and unaltered is demanded.
    ///
    /// - Parameter limit: the most the message may hold.
    /// - Throws: `EncryptionError.noSecretKey`, `.keyLocked`, `.damaged`, `.truncated`, `.tooLarge`; `CancellationError`.
    public func open(_ message: [UInt8], limit: Int) async throws -> [UInt8] {
        // A message that ends within a packet needs no gpg; one that begins with none is refused by it anyway.
        let tags = try MessageFraming.tags(message)
        guard tags.contains(where: { $0 != MessageFraming.sessionKey }) else { throw EncryptionError.truncated }
        // gpg rounds --max-output to its buffers; the capacity is what is exact.
        let outcome = try await GpgProgram.run(
            ["--max-output", String(limit + (64 << 10)), "--decrypt"], home: home, input: message, capacity: limit)
        if outcome.isOverflowing { throw EncryptionError.tooLarge(limit: limit) }
        try Self.checkUnlocked(outcome)
        let missing = outcome.all("NO_SECKEY").compactMap { $0.first.map(String.init) }
        if !outcome.has("DECRYPTION_OKAY"), !missing.isEmpty {
            throw EncryptionError.noSecretKey(missing)
        }
        guard outcome.succeeded, outcome.has("DECRYPTION_OKAY"), outcome.has("GOODMDC"),
            !outcome.has("DECRYPTION_FAILED"), !outcome.has("BADMDC"), !outcome.has("FAILURE")
        else { throw EncryptionError.damaged(outcome.lastWords) }
        guard outcome.all("PLAINTEXT").count == 1 else {
            throw EncryptionError.damaged("it does not hold exactly one file")
        }
        return outcome.output
    }

    /// Throws when the agent has the key but could not use it: wrong passphrase, nobody there to ask, card not there.
    private static func checkUnlocked(_ outcome: GpgProgram.Outcome) throws {
        guard !outcome.has("DECRYPTION_OKAY"),
            let text = outcome.all("ERROR").first(where: { $0.first == "pkdecrypt_failed" })?.dropFirst().first,
            let error = UInt32(text)
        else { return }
        // gpg-error.h: the low 16 bits; bit 15 marks a system error, such as that pinentry found no terminal. Others, such
        // as a wrong checksum, mean a damaged message.
        let code = error & 0xffff
        let refusals = [
            GPG_ERR_BAD_PASSPHRASE, GPG_ERR_TIMEOUT, GPG_ERR_NO_PIN_ENTRY, GPG_ERR_CANCELED, GPG_ERR_FULLY_CANCELED,
        ]
        if code >= 0x8000 || refusals.contains(where: { $0.rawValue == code }) {
            throw EncryptionError.keyLocked(outcome.lastWords)
        }
    }
}
