// SPDX-License-Identifier: Apache-2.0
import Encryption
import Foundation
import TestSupport
import Testing

@Suite("Keyring")
struct KeyringTests {
    let keys: ThrowawayKeys
    let keyring: Keyring

    init() throws {
        keys = try ThrowawayKeys()
        keyring = Keyring(home: keys.home)
    }

    @Test("the versions of gpgme and gpg are known")
    func versions() throws {
        #expect(try EncryptionLibrary.version() >= "1.14")
        #expect(try EncryptionLibrary.programVersion()?.hasPrefix("2.") == true)
    }

    @Test("a recipient is found by fingerprint, and in a file without being imported")
    func lookup() async throws {
        let fingerprint = try await keys.add("Ops <ops@example.com>", for: .encryption)
        let found = try await keyring.recipient(fingerprint)
        #expect(found.key.fingerprint == fingerprint)
        #expect(found.key.userID == "Ops <ops@example.com>")
        #expect(found.key.encryptionExpires == nil)
        try found.key.checkCanEncrypt()
        let file = try await keys.publicKeyFile(fingerprint)
        let other = try ThrowawayKeys()
        let fromFile = try await Keyring(home: other.home).recipient("file:\(file)")
        #expect(fromFile.key.fingerprint == fingerprint)
        #expect(try await other.gpg(["--list-keys"]).isEmpty)
    }

    @Test("names that are not whole fingerprints, unknown keys and files without a key are refused")
    func unknown() async throws {
        let fingerprint = try await keys.add("Ops <ops@example.com>", for: .encryption)
        let short = String(fingerprint.suffix(16))
        await #expect(throws: EncryptionError.keyNotFound(short)) { try await keyring.recipient(short) }
        await #expect(throws: EncryptionError.keyNotFound("ops@example.com")) {
            try await keyring.recipient("ops@example.com")
        }
        let missing = String(repeating: "0", count: 40)
        await #expect(throws: EncryptionError.keyNotFound(missing)) { try await keyring.recipient(missing) }
        let folder = try TemporaryDirectory()
        let file = try folder.write("no-key", "hello")
        await #expect { try await keyring.recipient("file:\(file)") } throws: {
            if case .keyFile(file, _)? = $0 as? EncryptionError { true } else { false }
        }
        await #expect { try await keyring.recipient("file:/nowhere/key") } throws: {
            if case .keyFile? = $0 as? EncryptionError { true } else { false }
        }
    }

    @Test("expired, revoked, disabled and sign-only recipients each have their own error")
    func unusable() async throws {
        let expired = try await keys.add("Expired <a@b.c>", for: .encryption, expires: "10d", madeAt: "20200101T000000")
        await #expect { try await keyring.recipient(expired).key.checkCanEncrypt() } throws: {
            if case .keyExpired(expired, let at?)? = $0 as? EncryptionError { at == 1_578_700_800 } else { false }
        }
        let revoked = try await keys.add("Revoked <a@b.c>", for: .encryption)
        try await keys.revoke(revoked)
        await #expect(throws: EncryptionError.keyRevoked(revoked)) {
            try await keyring.recipient(revoked).key.checkCanEncrypt()
        }
        let signOnly = try await keys.add("Signer <a@b.c>", for: .signing)
        await #expect(throws: EncryptionError.keyCannotEncrypt(signOnly)) {
            try await keyring.recipient(signOnly).key.checkCanEncrypt()
        }
        let disabled = try await keys.add("Disabled <a@b.c>", for: .encryption)
        _ = try await StockProgram.run(
            "gpg", ["--homedir", keys.home, "--no-tty", "--command-fd", "0", "--edit-key", disabled],
            input: Array("disable\nsave\n".utf8))
        await #expect(throws: EncryptionError.keyDisabled(disabled)) {
            try await keyring.recipient(disabled).key.checkCanEncrypt()
        }
        await #expect(throws: EncryptionError.keyRevoked(revoked)) {
            try Sealer(recipients: [try await keyring.recipient(revoked)])
        }
        #expect(throws: EncryptionError.noRecipients) { try Sealer(recipients: []) }
    }

    @Test("a key whose encryption subkey alone has expired is expired; its date is told in advance otherwise")
    func expiry() async throws {
        let ageing = try await keys.add("Ageing <a@b.c>", for: .encryption, expires: "30d")
        let end = try #require(try await keyring.recipient(ageing).key.encryptionExpires)
        let days = (Double(end) - Date().timeIntervalSince1970) / 86_400
        #expect(days > 29 && days < 31)
        let halfDead = try await keys.add("Half <a@b.c>", for: .signing, madeAt: "20200101T000000")
        try await keys.gpg(
            ["--faked-system-time", "20200101T000000!", "--passphrase", ""]
                + ["--quick-add-key", halfDead, "cv25519", "encrypt", "10d"])
        await #expect { try await keyring.recipient(halfDead).key.checkCanEncrypt() } throws: {
            if case .keyExpired(halfDead, _)? = $0 as? EncryptionError { true } else { false }
        }
    }

    @Test("a host that holds only the public key cannot decrypt, and says so")
    func canDecrypt() async throws {
        let fingerprint = try await keys.add("Ops <ops@example.com>", for: .encryption)
        #expect(try await keyring.canDecrypt(fingerprint))
        let host = try ThrowawayKeys()
        let there = Keyring(home: host.home)
        #expect(try await there.add(try await keyring.publicKey(fingerprint)) == [fingerprint])
        #expect(try await there.recipient(fingerprint).key.fingerprint == fingerprint)
        #expect(try await !there.canDecrypt(fingerprint))
        #expect(try await there.secretKeys().isEmpty)
        await #expect(throws: EncryptionError.keyNotFound(fingerprint)) { try await there.signingKey(fingerprint) }
    }

    @Test("generated keys work, carry their passphrase out of sight, and travel armoured")
    func generation() async throws {
        let making = KeyGeneration(home: keys.home)
        let recipient = try await making.makeRecipient(userID: "Acme <ops@example.com>", validDays: 700)
        let signer = try await making.makeSigner(userID: "host1", passphrase: "correct horse ü")
        try await keyring.recipient(recipient).key.checkCanEncrypt()
        #expect(try await keyring.recipient(recipient).key.encryptionExpires != nil)
        #expect(try await keyring.signingKey(signer).userID == "host1")
        let secret = try await making.exportSecret(signer, passphrase: "correct horse ü")
        #expect(String(decoding: secret, as: UTF8.self).hasPrefix("-----BEGIN PGP PRIVATE KEY BLOCK-----"))
        await #expect(throws: EncryptionError.self) { try await making.exportSecret(signer, passphrase: "wrong") }
        let open = try await making.exportSecret(recipient)
        let safe = try ThrowawayKeys()
        #expect(try await Keyring(home: safe.home).add(open) == [recipient])
        #expect(try await Keyring(home: safe.home).canDecrypt(recipient))
        #expect(String(decoding: try await making.exportPublic(recipient), as: UTF8.self).contains("PUBLIC KEY"))
        await #expect(throws: EncryptionError.self) { try await making.makeSigner(userID: "a\n%echo") }
        await #expect(throws: EncryptionError.self) { try await making.makeSigner(userID: "a", passphrase: " b") }
    }

    @Test("what was found of a key is known for a while, a key that was missing is looked for again")
    func memory() async throws {
        let remembering = Keyring(home: keys.home, remembers: .seconds(3600))
        let other = try ThrowawayKeys()
        let fingerprint = try await other.add("Ops <ops@example.com>", for: .encryption)
        await #expect(throws: EncryptionError.keyNotFound(fingerprint)) {
            try await remembering.recipient(fingerprint)
        }
        #expect(try await !remembering.canDecrypt(fingerprint))
        let publicKey = try await Keyring(home: other.home).publicKey(fingerprint)
        try await Keyring(home: keys.home).add(publicKey)
        let found = try await remembering.recipient(fingerprint)
        #expect(found.publicKey == publicKey)
        _ = try await keys.gpg(["--delete-keys", fingerprint])
        #expect(try await remembering.recipient(fingerprint) == found)
        await #expect(throws: EncryptionError.keyNotFound(fingerprint)) {
            try await Keyring(home: keys.home).recipient(fingerprint)
        }
        // Adding keys makes it look again.
        let next = try await other.add("Next <next@example.com>", for: .encryption)
        try await remembering.add(try await Keyring(home: other.home).publicKey(next))
        await #expect(throws: EncryptionError.keyNotFound(fingerprint)) {
            try await remembering.recipient(fingerprint)
        }
    }
}
