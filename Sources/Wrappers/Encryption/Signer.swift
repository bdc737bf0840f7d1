// SPDX-License-Identifier: Apache-2.0

/// Makes detached signatures with one secret key; gpg-agent holds it and, if it has one, asks for its passphrase.
public struct Signer: Sendable {
    /// The key it signs with.
    public let key: PublicKey
    private let keyring: Keyring
    /// A signature with an RSA key of 16384 bits takes about 2 KiB.
    private static let capacity = 64 << 10

    /// - Throws: `EncryptionError` when `fingerprint` cannot sign here today.
    public init(_ fingerprint: String, in keyring: Keyring) async throws {
        self.keyring = keyring
        key = try await keyring.signingKey(fingerprint)
    }

    /// A detached signature over `bytes`, as OpenPGP packets.
    ///
    /// - Throws: `EncryptionError.signingFailed`.
    public func sign(_ bytes: [UInt8]) async throws -> [UInt8] {
        let outcome = try await GpgProgram.run(
            ["--disable-dirmngr", "--local-user", key.fingerprint, "--detach-sign"], home: keyring.home, input: bytes,
            capacity: Self.capacity, readsOptions: true)
        guard outcome.succeeded, outcome.all("SIG_CREATED").count == 1, !outcome.has("INV_SGNR"),
            !outcome.has("FAILURE")
        else { throw EncryptionError.signingFailed(outcome.lastWords) }
        guard !outcome.output.isEmpty else { throw EncryptionError.signingFailed("gpg gave no bytes") }
        return outcome.output
    }
}
