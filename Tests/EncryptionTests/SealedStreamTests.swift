// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Encryption
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Messages of any length, signed and encrypted")
struct SealedStreamTests {
    struct Stop: Error {}

    /// Gathers what is written.
    final class Gathered: ByteSink {
        private let kept = Mutex<[UInt8]>([])
        var bytes: [UInt8] { kept.withLock { $0 } }
        func write(_ bytes: UnsafeRawBufferPointer) throws { kept.withLock { $0.append(contentsOf: bytes) } }
    }

    private func sealer(_ pair: ThrowawayKeys.Pair) async throws -> StreamSealer {
        let keyring = Keyring(home: pair.keys.home)
        return try await StreamSealer(
            recipients: [try await keyring.recipient(pair.recipient)], signer: pair.signer, in: keyring)
    }

    private func seal(_ bytes: [UInt8], _ sealer: StreamSealer) async throws -> [UInt8] {
        let gathered = Gathered()
        try await sealer.seal(into: gathered) { sink in try await Blocking.run { try sink.write(bytes) } }
        return gathered.bytes
    }

    private func open(_ message: [UInt8], _ keys: ThrowawayKeys) async throws -> (result: [UInt8], signer: String) {
        try await StreamOpener(home: keys.home).open(feed: { try $0.write(message) }) { plain in
            try await Blocking.run {
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 100_000)
                while true {
                    let count = try buffer.withUnsafeMutableBytes { try plain.read(into: $0) }
                    if count == 0 { return bytes }
                    bytes += buffer[..<count]
                }
            }
        }
    }

    @Test("what was sealed opens, here and with stock gpg, and says who signed")
    func roundTrip() async throws {
        let pair = try await ThrowawayKeys.pair()
        let sealer = try await sealer(pair)
        for count in [0, 1, 70_000, 5_000_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let message = try await seal(bytes, sealer)
            let opened = try await open(message, pair.keys)
            #expect(opened.result == bytes && opened.signer == pair.signer)
            let stock = try await pair.keys.run(["--decrypt"], input: message)
            #expect(stock.status == 0 && stock.output == bytes && stock.errors.contains("Good signature"))
        }
    }

    @Test("a message cut anywhere or changed is an error, whatever came out of it before")
    func damage() async throws {
        let pair = try await ThrowawayKeys.pair()
        let message = try await seal([UInt8](repeating: 7, count: 300_000), try await sealer(pair))
        for length in [0, 5, 94, 100, 120, message.count / 2, message.count - 1] {
            await #expect(throws: EncryptionError.self) { try await open(Array(message[..<length]), pair.keys) }
        }
        var changed = message
        changed[message.count / 2] ^= 1
        let spoiled = changed
        await #expect(throws: EncryptionError.self) { try await open(spoiled, pair.keys) }
    }

    @Test("errors of either side end gpg and come out as they are")
    func errors() async throws {
        let pair = try await ThrowawayKeys.pair()
        let sealer = try await sealer(pair)
        let megabytes = [UInt8](repeating: 1, count: 8 << 20)
        let stopping: @Sendable (any ByteSink) async throws -> Void = { sink in
            try await Blocking.run { try sink.write(megabytes) }
            throw Stop()
        }
        await #expect(throws: Stop.self) { try await sealer.seal(into: Gathered(), stopping) }
        let lasting: @Sendable (any ByteSink) async throws -> Void = { sink in
            try await Blocking.run { for _ in 0..<4 { try sink.write(megabytes) } }
        }
        await #expect(throws: Stop.self) { try await sealer.seal(into: ClosureSink { _ in throw Stop() }, lasting) }

        let message = try await seal(megabytes, sealer)
        let opener = StreamOpener(home: pair.keys.home)
        let feeding: @Sendable (any ByteSink) throws -> Void = { try $0.write(message) }
        let refusing: @Sendable (PlainBytes) async throws -> Int = { _ in throw Stop() }
        await #expect(throws: Stop.self) { try await opener.open(feed: feeding, refusing) }
        let draining: @Sendable (PlainBytes) async throws -> Int = { plain in
            try await Blocking.run {
                var buffer = [UInt8](repeating: 0, count: 100)
                while try buffer.withUnsafeMutableBytes({ try plain.read(into: $0) }) > 0 {}
                return 0
            }
        }
        await #expect(throws: Stop.self) { try await opener.open(feed: { _ in throw Stop() }, draining) }
        // Content with less than all of it.
        await #expect(throws: EncryptionError.self) { try await opener.open(feed: feeding) { _ in 0 } }
    }

    @Test("keys that cannot do their part are refused beforehand")
    func keys() async throws {
        let pair = try await ThrowawayKeys.pair()
        let keyring = Keyring(home: pair.keys.home)
        let recipient = try await keyring.recipient(pair.recipient)
        await #expect(throws: EncryptionError.noRecipients) {
            try await StreamSealer(recipients: [], signer: pair.signer, in: keyring)
        }
        let signerOnly = try await keyring.recipient(pair.signer)
        await #expect(throws: EncryptionError.self) {
            try await StreamSealer(recipients: [signerOnly], signer: pair.signer, in: keyring)
        }
        let empty = try ThrowawayKeys()
        await #expect(throws: EncryptionError.self) {
            try await StreamSealer(recipients: [recipient], signer: pair.signer, in: Keyring(home: empty.home))
        }
        let message = try await seal([1, 2, 3], try await sealer(pair))
        await #expect(throws: EncryptionError.self) { try await open(message, empty) }
    }
}
