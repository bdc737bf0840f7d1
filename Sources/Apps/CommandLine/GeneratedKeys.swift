// SPDX-License-Identifier: Apache-2.0
import Domain
import Encryption
import Foundation
import LocalState
import Transports

/// Makes the keys a plan names and nobody has made yet: a signer in this host's keyring, and pairs for recipients given as
/// files, whose private parts never touch this host's keyring.
struct GeneratedKeys {
    let plan: Plan
    let recoveryDirectory: String?
    let host: String

    /// One key that was made.
    struct Made: Codable {
        /// `signing` or `recipient`.
        var role: String
        var fingerprint: String
        var files: [String]
    }

    func make() async throws -> [Made] {
        var made: [Made] = []
        if let signer = try await signer() { made.append(signer) }
        for name in plan.allRecipients {
            guard let path = name.droppingPrefix("file:"), !FileManager.default.fileExists(atPath: path) else {
                continue
            }
            let isOfPlan = plan.encryption.recipients.contains(name)
            let sources = plan.sources.filter { !isOfPlan && $0.recipients.contains(name) }.map { "/\($0.name)" }
            made.append(try await recipient(path, of: plan.name + (sources.first ?? "")))
        }
        return made
    }

    private func signer() async throws -> Made? {
        guard plan.encryption.signer == nil else { return nil }
        let keyring = Keyring()
        do {
            let able = try await keyring.secretKeys().contains { $0.parts.contains { $0.canSign && $0.hasSecret } }
            guard !able else { return nil }
            let fingerprint = try await KeyGeneration().makeSigner(userID: "Salvor signing key of \(host)")
            return Made(role: "signing", fingerprint: fingerprint, files: ["in this host's keyring"])
        } catch let error as EncryptionError {
            throw Failure(
                .signingFailed, "unable to make a signing key: \(error)", hint: "Check $GNUPGHOME and gpg-agent.")
        }
    }

    private func recipient(_ path: String, of owner: String) async throws -> Made {
        guard let recoveryDirectory else {
            throw Failure(
                .usage, "a new recipient key for '\(path)' needs a place for its private part",
                hint: "Add --recovery-directory FOLDER, on a removable disk if you can.")
        }
        let folder = StateDirectory(recoveryDirectory)
        let home = NSTemporaryDirectory() + "salvor-keys-\(UUID().uuidString.prefix(8))"
        try StateDirectory(home).create()
        defer {
            // The folder holds the private key: if it stays, say so.
            do { try FileManager.default.removeItem(atPath: home) } catch {
                Output.note("salvor: warning: remove '\(home)' yourself: it holds the private key")
            }
        }
        do {
            let generation = KeyGeneration(home: home)
            let fingerprint = try await generation.makeRecipient(userID: "Salvor recovery key for \(owner)")
            let publicKey = try await generation.exportPublic(fingerprint)
            let secretKey = try await generation.exportSecret(fingerprint)
            let name = "salvor-\(plan.name)-\(fingerprint.suffix(8).lowercased())"
            try folder.write("\(name).secret.asc", secretKey)
            let sheet = RecoverySheet(
                plan: plan, recipient: fingerprint, signer: await signerFingerprint(), folder: recoveryDirectory,
                secretFile: "\(name).secret.asc", host: host, made: SystemClock().now())
            try folder.write("\(name).recovery-sheet.txt", Array(sheet.text.utf8))
            let file = URL(fileURLWithPath: path)
            try StateDirectory(file.deletingLastPathComponent().path).write(file.lastPathComponent, publicKey)
            await Self.stopAgent(home)
            return Made(
                role: "recipient", fingerprint: fingerprint,
                files: [
                    path, "\(recoveryDirectory)/\(name).secret.asc", "\(recoveryDirectory)/\(name).recovery-sheet.txt",
                ])
        } catch let error as EncryptionError {
            await Self.stopAgent(home)
            throw Failure(
                .keyUnusable, "unable to make a recipient key: \(error)", hint: "Check that gpg-agent can run.")
        }
    }

    /// The key that will sign, for the sheet; nil when it cannot be told yet, which the sheet then says.
    private func signerFingerprint() async -> String? {
        let keyring = Keyring()
        // Whether there is a usable signer is for the repository to judge, with words of its own.
        if let name = plan.encryption.signer { return (try? await keyring.signingKey(name))?.fingerprint }
        // As above.
        let keys = (try? await keyring.secretKeys()) ?? []
        let able = keys.filter { $0.parts.contains { $0.canSign && $0.hasSecret } }
        return able.count == 1 ? able.first?.fingerprint : nil
    }

    private static func stopAgent(_ home: String) async {
        // An agent whose folder is gone ends by itself within a minute.
        _ = try? await LocalTransport().output(of: Program("gpgconf", ["--homedir", home, "--kill", "gpg-agent"]))
    }
}
