// SPDX-License-Identifier: Apache-2.0
import Encryption
import Foundation
import TestSupport
import Testing

@Suite("Signatures")
struct SignatureTests {
    let keys: ThrowawayKeys
    let keyring: Keyring
    let bytes = Array(#"{"bundle":"20261121T020003Z-nightly-k3f9qz"}"#.utf8)

    init() throws {
        keys = try ThrowawayKeys()
        keyring = Keyring(home: keys.home)
    }

    func signature(by fingerprint: String) async throws -> [UInt8] {
        try await Signer(fingerprint, in: keyring).sign(bytes)
    }

    @Test("a good signature names its signer, here, to stock gpg, and where only the public key is known")
    func good() async throws {
        let signer = try await keys.add("host1 <host1@example.com>", for: .signing)
        let signature = try await signature(by: signer)
        let verified = try await SignatureVerifier(keyring).verify(bytes, signature: signature)
        #expect(verified.signer == signer)
        #expect(abs(Double(verified.made) - Date().timeIntervalSince1970) < 60)
        let elsewhere = Keyring(home: try ThrowawayKeys().home)
        await #expect(throws: EncryptionError.self) {
            try await SignatureVerifier(elsewhere).verify(bytes, signature: signature)
        }
        let folder = try TemporaryDirectory()
        try Data(bytes).write(to: URL(fileURLWithPath: folder("m")))
        try Data(signature).write(to: URL(fileURLWithPath: folder("m.sig")))
        #expect(try await keys.run(["--verify", folder("m.sig"), folder("m")]).status == 0)
        let there = try ThrowawayKeys()
        try await Keyring(home: there.home).add(try await keyring.publicKey(signer))
        let remote = SignatureVerifier(Keyring(home: there.home))
        #expect(try await remote.verify(bytes, signature: signature).signer == signer)
    }

    @Test("a signature over other bytes, none, two, or a damaged one is refused")
    func bad() async throws {
        let signer = try await keys.add("host1 <host1@example.com>", for: .signing)
        let signature = try await signature(by: signer)
        let verifier = SignatureVerifier(keyring)
        await #expect(throws: EncryptionError.signatureBad) {
            try await verifier.verify(bytes + [0], signature: signature)
        }
        await #expect(throws: EncryptionError.signatureMissing) { try await verifier.verify(bytes, signature: []) }
        await #expect(throws: EncryptionError.signatureMissing) {
            try await verifier.verify(bytes, signature: Array("hello".utf8))
        }
        await #expect(throws: EncryptionError.self) {
            try await verifier.verify(bytes, signature: signature + signature)
        }
        for position in signature.indices {
            var damaged = signature
            damaged[position] ^= 1
            // Bits outside what is signed (the hint which key it was) may change; who signed must not.
            if let verified = try? await verifier.verify(bytes, signature: damaged) {
                #expect(verified.signer == signer)
            }
        }
    }

    @Test("signatures by unknown, expired and revoked keys each have their own error")
    func unfitKeys() async throws {
        let verifier = SignatureVerifier(keyring)
        let other = try ThrowawayKeys()
        let stranger = try await other.add("Stranger <s@example.com>", for: .signing)
        let strange = try await Signer(stranger, in: Keyring(home: other.home)).sign(bytes)
        await #expect { try await verifier.verify(bytes, signature: strange) } throws: {
            if case .signatureByUnknownKey(let key)? = $0 as? EncryptionError {
                stranger.hasSuffix(key.suffix(16))
            } else {
                false
            }
        }
        let expired = try await keys.add(
            "Old <o@example.com>", for: .signing, expires: "10d", madeAt: "20200101T000000")
        let folder = try TemporaryDirectory()
        try await keys.gpg(
            ["--faked-system-time", "20200102T000000!", "-u", expired, "--output", folder("old"), "--detach-sign"],
            input: bytes)
        let old = Array(try Data(contentsOf: URL(fileURLWithPath: folder("old"))))
        await #expect(throws: EncryptionError.signatureByExpiredKey(expired)) {
            try await verifier.verify(bytes, signature: old)
        }
        await #expect { try await Signer(expired, in: keyring) } throws: {
            if case .keyExpired(expired, _)? = $0 as? EncryptionError { true } else { false }
        }
        let revoked = try await keys.add("Revoked <r@example.com>", for: .signing)
        let before = try await signature(by: revoked)
        // What is remembered of this is worth nothing once the keyring has changed.
        #expect(try await verifier.verify(bytes, signature: before).signer == revoked)
        #expect(try await verifier.verify(bytes, signature: before).signer == revoked)
        try await keys.revoke(revoked)
        await #expect(throws: EncryptionError.signatureByRevokedKey(revoked)) {
            try await verifier.verify(bytes, signature: before)
        }
        await #expect(throws: EncryptionError.keyRevoked(revoked)) { try await Signer(revoked, in: keyring) }
    }

    @Test("the key that signs may be a subkey, whose primary key is the signer")
    func subkey() async throws {
        let primary = try await keys.add("host1 <host1@example.com>", for: .signing)
        try await keys.gpg(["--passphrase", "", "--quick-add-key", primary, "ed25519", "sign", "never"])
        let signature = try await signature(by: primary)
        #expect(try await SignatureVerifier(keyring).verify(bytes, signature: signature).signer == primary)
    }
}
