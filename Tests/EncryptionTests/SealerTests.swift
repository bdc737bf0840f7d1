// SPDX-License-Identifier: Apache-2.0
import Encryption
import Foundation
import TestSupport
import Testing

@Suite("Sealing and opening")
struct SealerTests {
    let keys: ThrowawayKeys
    let keyring: Keyring

    init() throws {
        keys = try ThrowawayKeys()
        keyring = Keyring(home: keys.home)
    }

    func recipient(_ name: String = "Ops <ops@example.com>") async throws -> Recipient {
        try await keyring.recipient(try await keys.add(name, for: .encryption))
    }

    @Test("bytes of every size come back, with the keyring gone from where they were sealed")
    func roundTrip() async throws {
        let sealer = try Sealer(recipients: [try await recipient()])
        let opener = Opener(home: keys.home)
        for size in [0, 1, 8191, 100_000, 5_000_000] {
            let plain = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 131) }
            let message = try await sealer.seal(plain)
            #expect(message.count < size + size / 1000 + 400)
            #expect(try await opener.open(message, limit: size) == plain, "\(size)")
        }
    }

    @Test("the message is what the oldest gpg reads: AES-256, MDC, nothing compressed")
    func packets() async throws {
        let sealer = try Sealer(recipients: [try await recipient(), try await recipient("Second <b@example.com>")])
        let message = try await sealer.seal(Array(repeating: 7, count: 50_000))
        let list = try await keys.gpg(["--list-packets"], input: message)
        #expect(list.contains("mdc_method: 2"))
        #expect(list.split(separator: "\n").filter { $0.hasPrefix(":pubkey enc packet: version 3") }.count == 2)
        #expect(!list.contains("compressed packet"))
        #expect(!list.contains("aead"))
        let stock = try await keys.run(["--status-fd", "2", "--decrypt"], input: message)
        #expect(stock.errors.contains("DECRYPTION_INFO 2 9"))
        #expect(stock.output == Array(repeating: 7, count: 50_000))
    }

    @Test("each of several recipients alone can open it; another key cannot")
    func severalRecipients() async throws {
        let people = [try ThrowawayKeys(), try ThrowawayKeys()]
        var recipients: [Recipient] = []
        for person in people {
            let fingerprint = try await person.add("P <p@example.com>", for: .encryption)
            recipients.append(try await Keyring(home: person.home).recipient(fingerprint))
        }
        let message = try await Sealer(recipients: recipients).seal([1, 2, 3])
        for person in people {
            #expect(try await Opener(home: person.home).open(message, limit: 3) == [1, 2, 3])
        }
        _ = try await recipient()
        for home in [keys.home, try ThrowawayKeys().home] {
            await #expect {
                try await Opener(home: home).open(message, limit: 3)
            } throws: {
                if case .noSecretKey(let ids)? = $0 as? EncryptionError { ids.count == 2 } else { false }
            }
        }
    }

    @Test("a secret key behind a passphrase that nobody can enter is locked, not missing")
    func locked() async throws {
        let fingerprint = try await KeyGeneration(home: keys.home).makeRecipient(userID: "Ops", passphrase: "secret")
        let message = try await Sealer(recipients: [try await keyring.recipient(fingerprint)]).seal([1, 2, 3])
        _ = try await StockProgram.run("gpgconf", ["--homedir", keys.home, "--kill", "gpg-agent"])
        // A pinentry that always gives up.
        let quitter = "\(keys.home)/pinentry"
        try Data("#!/bin/sh\nexit 1\n".utf8).write(to: URL(fileURLWithPath: quitter))
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: quitter)
        try Data("pinentry-program \(quitter)\n".utf8)
            .write(to: URL(fileURLWithPath: "\(keys.home)/gpg-agent.conf"))
        await #expect {
            try await Opener(home: keys.home).open(message, limit: 3)
        } throws: {
            if case .keyLocked? = $0 as? EncryptionError { true } else { false }
        }
    }

    @Test("a message cut anywhere is refused, also where gpg itself exits with 0")
    func truncation() async throws {
        let message = try await Sealer(recipients: [try await recipient()])
            .seal((0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let opener = Opener(home: keys.home)
        for length in Array(0...200) + Array(stride(from: 201, to: message.count, by: 997)) + [message.count - 1] {
            await #expect(throws: EncryptionError.self, "cut at \(length)") {
                try await opener.open(Array(message[..<length]), limit: 50_000)
            }
        }
    }

    @Test("a changed byte anywhere is refused or harmless, an added one too")
    func damage() async throws {
        let plain = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let message = try await Sealer(recipients: [try await recipient()]).seal(plain)
        let opener = Opener(home: keys.home)
        for position in Array(0..<120) + Array(stride(from: 120, to: message.count, by: 997)) {
            var changed = message
            changed[position] ^= 0x20
            // A few bits of the header (of the key id, say) do not matter to gpg; the bytes must be right then.
            if let opened = try? await opener.open(changed, limit: 50_000) {
                #expect(opened == plain, "byte \(position)")
                #expect(position < 120)
            }
        }
        await #expect(throws: EncryptionError.self) { try await opener.open(message + [0], limit: 50_000) }
        await #expect(throws: EncryptionError.self) { try await opener.open(message + message, limit: 50_000) }
    }

    @Test("what is not encrypted, or only signed, is refused")
    func notEncrypted() async throws {
        let opener = Opener(home: keys.home)
        await #expect(throws: EncryptionError.self) { try await opener.open(Array("hello".utf8), limit: 100) }
        await #expect(throws: EncryptionError.self) { try await opener.open([], limit: 100) }
        let signer = try await keys.add("Signer <s@example.com>", for: .signing)
        let folder = try TemporaryDirectory()
        try await keys.gpg(["-u", signer, "--output", folder("signed"), "--sign"], input: Array("hello".utf8))
        let signed = Array(try Data(contentsOf: URL(fileURLWithPath: folder("signed"))))
        await #expect(throws: EncryptionError.self) { try await opener.open(signed, limit: 100) }
    }

    @Test("a message that unpacks to more than the limit is refused")
    func limit() async throws {
        let fingerprint = try await recipient().key.fingerprint
        let folder = try TemporaryDirectory()
        let bomb = [UInt8](repeating: 0, count: 30 << 20)
        try await keys.gpg(
            ["--trust-model", "always", "-r", fingerprint, "--output", folder("bomb"), "--encrypt"], input: bomb)
        let message = Array(try Data(contentsOf: URL(fileURLWithPath: folder("bomb"))))
        #expect(message.count < 1 << 20)
        await #expect(throws: EncryptionError.tooLarge(limit: 1 << 20)) {
            try await Opener(home: keys.home).open(message, limit: 1 << 20)
        }
    }

    @Test("many at once neither block one another nor mix")
    func concurrency() async throws {
        let sealer = try Sealer(recipients: [try await recipient()])
        let opener = Opener(home: keys.home)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<12 {
                group.addTask {
                    let plain = [UInt8](repeating: UInt8(index), count: 300_000 + index)
                    let message = try await sealer.seal(plain)
                    #expect(try await opener.open(message, limit: 400_000) == plain)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("cancelling ends gpg and throws")
    func cancelling() async throws {
        let sealer = try Sealer(recipients: [try await recipient()])
        let task = Task { try await sealer.seal([UInt8](repeating: 1, count: 512 << 20)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
