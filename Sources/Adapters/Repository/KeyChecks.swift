// SPDX-License-Identifier: Apache-2.0
public import Domain
import Encryption

extension FormatRepository {
    /// Keys that end sooner than this are warned about.
    private static let warningSeconds: Int64 = 30 * 86400

    public func keyChecks(plan: Plan, at now: Timestamp) async -> [Check] {
        // Each question is a process: all are asked at the same time.
        async let signer = signerCheck(plan, at: now)
        let recipients = await withTaskGroup(of: (Int, [Check]).self) { group in
            for (index, name) in plan.allRecipients.enumerated() {
                group.addTask { (index, await recipientChecks(name, at: now)) }
            }
            return await group.reduce(into: [Int: [Check]]()) { $0[$1.0] = $1.1 }
        }
        var checks = recipients.sorted { $0.key < $1.key }.flatMap(\.value)
        if plan.encryption.recipients.isEmpty {
            let failure = KeyFailures.failure(.noRecipients)
            checks.append(Check("recipients", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return await checks + signer
    }

    private func recipientChecks(_ name: String, at now: Timestamp) async -> [Check] {
        async let apart = separation(name)
        let usable = await check("recipient", at: now) {
            let recipient = try await keyring.recipient(name)
            try recipient.key.checkCanEncrypt()
            return (recipient.key.fingerprint, recipient.key.encryptionExpires)
        }
        return await usable + apart
    }

    private func signerCheck(_ plan: Plan, at now: Timestamp) async -> [Check] {
        await check("signer", at: now) {
            // Without a repository there are no known signers; that it is missing is another check's news.
            let signers = (try? await descriptor().signers) ?? []
            let fingerprint = try await RunKeys.usableSigner(plan, keyring, signers: signers)
            return (fingerprint, try await keyring.signingKey(fingerprint).signingExpires)
        }
    }

    public func keyExpiries(plan: Plan) async -> [KeyExpiry] {
        var found: [KeyExpiry] = []
        func note(_ role: KeyExpiry.Role, _ key: PublicKey, _ expires: Int64?, _ check: () throws -> Void) {
            var moment = expires
            // Of a key that has ended already the check knows when.
            do { try check() } catch EncryptionError.keyExpired(_, at: let at) { moment = at ?? 0 } catch {}
            found.append(
                KeyExpiry(role: role, fingerprint: key.fingerprint, expires: moment.map { Timestamp(seconds: $0) }))
        }
        for name in plan.allRecipients {
            // One that is missing is a failed check of `keyChecks`, and has no end.
            guard let key = try? await keyring.recipient(name).key else { continue }
            note(.recipient, key, key.encryptionExpires) { try key.checkCanEncrypt() }
        }
        // Likewise, also without a repository.
        let signers = (try? await descriptor().signers) ?? []  // none are known then
        if let key = try? await RunKeys.signer(plan, keyring, signers: signers) {  // no signer has no end
            note(.signer, key, key.signingExpires) { try key.checkCanSign() }
        }
        return found
    }

    private func check(
        _ name: String, at now: Timestamp, _ body: () async throws -> (String, Int64?)
    ) async -> [Check] {
        do {
            let (fingerprint, expires) = try await KeyFailures.translating(body)
            guard let expires, expires - now.seconds < Self.warningSeconds else {
                return [Check(name, .ok, "\(fingerprint) is usable")]
            }
            let days = max(0, (expires - now.seconds) / 86400)
            return [
                Check(
                    name, .warning, "\(fingerprint) expires in \(days) days",
                    remedy: "Extend it ('gpg --quick-set-expire \(fingerprint) 2y') and hand out its public key again.")
            ]
        } catch {
            let failure = Failure.wrapping(error, as: .keyUnusable)
            return [Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    /// The host that writes should not be able to read.
    private func separation(_ name: String) async -> [Check] {
        // A recipient that cannot be looked up has its own failed check already.
        guard let recipient = try? await keyring.recipient(name),
            let canDecrypt = try? await keyring.canDecrypt(recipient.key.fingerprint)
        else { return [] }
        let fingerprint = recipient.key.fingerprint
        guard canDecrypt else { return [Check("separation", .ok, "this keyring cannot decrypt for \(fingerprint)")] }
        return [
            Check(
                "separation", .warning, "this keyring holds the secret key of recipient \(fingerprint)",
                remedy: "Keep it elsewhere: 'gpg --export-secret-keys', move the file off this host, then "
                    + "'gpg --delete-secret-keys \(fingerprint)'.")
        ]
    }
}
