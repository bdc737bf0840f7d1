// SPDX-License-Identifier: Apache-2.0
import Domain
import Encryption

/// The keys of one run: the recipients of the plan and of its sources, the signer and, with `prove: contents`, an
/// ephemeral pair that lives in memory only until the run ends.
struct RunKeys: Sendable {
    /// Who can read what is sealed.
    struct Readers: Sendable {
        var sealer: Sealer
        /// Fingerprints of the lasting recipients.
        var recipients: [String]
    }

    /// Of everything but the sources in `own`.
    var shared: Readers
    /// Of sources with recipients of their own.
    var own: [String: Readers]
    var signer: String
    /// Opens what this run wrote; nil unless the run proves contents.
    var ephemeral: Opener?
    private var pair: EphemeralKey?

    static func make(plan: Plan, keyring: Keyring, signers: [String]) async throws -> RunKeys {
        try await KeyFailures.translating {
            let recipients = try await usableRecipients(plan.encryption.recipients, keyring)
            var own: [String: [Recipient]] = [:]
            for source in plan.sources where !source.recipients.isEmpty {
                own[source.name] = try await usableRecipients(source.recipients, keyring)
            }
            let signer = try await usableSigner(plan, keyring, signers: signers)
            let pair = plan.encryption.proof == .contents ? try await EphemeralKey.make() : nil
            func readers(_ recipients: [Recipient]) throws -> Readers {
                Readers(
                    sealer: try Sealer(recipients: recipients + (pair.map { [$0.recipient] } ?? [])),
                    recipients: recipients.map(\.key.fingerprint))
            }
            return RunKeys(
                shared: try readers(recipients), own: try own.mapValues(readers), signer: signer,
                ephemeral: pair?.opener, pair: pair)
        }
    }

    /// Who can read what `source` stores.
    func readers(of source: String) -> Readers { own[source] ?? shared }

    /// Ends the ephemeral pair: from now on only the recipients can read.
    func destroy() async {
        await pair?.destroy()
    }

    /// Every recipient named, able to be encrypted to today.
    static func usableRecipients(_ names: [String], _ keyring: Keyring) async throws -> [Recipient] {
        guard !names.isEmpty else { throw EncryptionError.noRecipients }
        var recipients: [Recipient] = []
        for name in names {
            let recipient = try await keyring.recipient(name)
            try recipient.key.checkCanEncrypt()
            recipients.append(recipient)
        }
        return recipients
    }

    /// Fingerprint of the signing key, able to sign today.
    static func usableSigner(_ plan: Plan, _ keyring: Keyring, signers: [String]) async throws -> String {
        let key = try await signer(plan, keyring, signers: signers)
        try key.checkCanSign()
        return key.fingerprint
    }

    /// The signing key: the plan's, or the keyring's only one, or the only one the repository knows (an owner's keyring
    /// holds the recipient's key, which could sign, too).
    static func signer(_ plan: Plan, _ keyring: Keyring, signers: [String]) async throws -> PublicKey {
        if let named = plan.encryption.signer { return try await keyring.signingKey(named) }
        var keys = try await keyring.secretKeys().filter { $0.parts.contains { $0.canSign && $0.hasSecret } }
        if keys.count > 1 {
            let known = keys.filter { signers.contains($0.fingerprint) }
            if !known.isEmpty { keys = known }
        }
        guard let key = keys.first else {
            throw EncryptionError.keyNotFound("a secret key to sign with")
        }
        guard keys.count == 1 else {
            throw EncryptionError.keyAmbiguous(
                "the keyring's secret key ('encryption.signer' must name one of several)")
        }
        return key
    }
}
