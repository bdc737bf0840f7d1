// SPDX-License-Identifier: Apache-2.0
import Programs

/// Makes OpenPGP keys in one GnuPG folder: Curve25519, which every gpg since 2.1 (2014) reads. Passphrases travel
/// through a pipe, never as arguments.
public struct KeyGeneration: Sendable {
    private let home: String?

    /// - Parameter home: the GnuPG folder, which must exist with mode 0700; nil: `GNUPGHOME`, else `~/.gnupg`.
    public init(home: String? = nil) {
        self.home = home
    }

    /// A pair to encrypt to: an ed25519 primary key with a cv25519 subkey.
    ///
    /// - Parameters:
    ///   - userID: such as `Acme backups <ops@example.com>`; one line.
    ///   - passphrase: protects the secret key; nil: none.
    ///   - validDays: days until it expires; nil: never.
    /// - Returns: the primary fingerprint.
    /// - Throws: `EncryptionError.keyGenerationFailed`.
    public func makeRecipient(userID: String, passphrase: String? = nil, validDays: Int? = nil) async throws -> String {
        try await make(userID, passphrase, validDays, hasEncryption: true)
    }

    /// A pair to sign with: an ed25519 primary key alone.
    ///
    /// - Parameters: as for `makeRecipient`.
    /// - Returns: the primary fingerprint.
    /// - Throws: `EncryptionError.keyGenerationFailed`.
    public func makeSigner(userID: String, passphrase: String? = nil, validDays: Int? = nil) async throws -> String {
        try await make(userID, passphrase, validDays, hasEncryption: false)
    }

    /// The public key, armoured: for `keys/`, for printing.
    ///
    /// - Throws: `EncryptionError`.
    public func exportPublic(_ fingerprint: String) async throws -> [UInt8] {
        try await export(["--export", try Keyring.normalized(fingerprint)], fingerprint, passphrase: nil)
    }

    /// The secret key, armoured, under the passphrase it has: for the offline copy.
    ///
    /// - Throws: `EncryptionError`.
    public func exportSecret(_ fingerprint: String, passphrase: String? = nil) async throws -> [UInt8] {
        try await export(
            ["--pinentry-mode", "loopback", "--passphrase-fd", "0", "--export-secret-keys"]
                + [try Keyring.normalized(fingerprint)], fingerprint, passphrase: passphrase ?? "")
    }

    private func make(
        _ userID: String, _ passphrase: String?, _ validDays: Int?, hasEncryption: Bool
    ) async throws -> String {
        guard !userID.isEmpty, !userID.contains(where: \.isNewline), !userID.hasOuterBlanks else {
            throw EncryptionError.keyGenerationFailed("the user id must be one line without blanks around it")
        }
        var lines = ["Key-Type: EDDSA", "Key-Curve: ed25519", "Key-Usage: sign"]
        if hasEncryption { lines += ["Subkey-Type: ECDH", "Subkey-Curve: cv25519", "Subkey-Usage: encrypt"] }
        lines += ["Name-Real: \(userID)", "Expire-Date: \(validDays.map { "\($0)d" } ?? "0")"]
        if let passphrase, !passphrase.isEmpty {
            // gpg's batch format cuts blanks at both ends of a line, which would silently make another passphrase.
            guard !passphrase.contains(where: \.isNewline), !passphrase.hasOuterBlanks else {
                throw EncryptionError.keyGenerationFailed("the passphrase must be one line without blanks around it")
            }
            lines.append("Passphrase: \(passphrase)")
        } else {
            lines.append("%no-protection")
        }
        let outcome = try await GpgProgram.run(
            ["--full-generate-key"], home: home, input: Array((lines + ["%commit", ""]).joined(separator: "\n").utf8),
            capacity: 1 << 16)
        guard outcome.succeeded, let fingerprint = outcome.all("KEY_CREATED").first?.dropFirst().first else {
            throw EncryptionError.keyGenerationFailed(outcome.lastWords)
        }
        return String(fingerprint)
    }

    private func export(_ arguments: [String], _ fingerprint: String, passphrase: String?) async throws -> [UInt8] {
        let outcome = try await GpgProgram.run(
            ["--armor"] + arguments, home: home, input: passphrase.map { Array("\($0)\n".utf8) } ?? [],
            capacity: 1 << 20)
        guard outcome.exit.code == 0, !outcome.isOverflowing else {
            throw EncryptionError.programFailed(program: "gpg", reason: outcome.lastWords)
        }
        guard !outcome.output.isEmpty else { throw EncryptionError.keyNotFound(fingerprint) }
        return outcome.output
    }
}

extension String {
    fileprivate var hasOuterBlanks: Bool { first?.isWhitespace == true || last?.isWhitespace == true }
}
