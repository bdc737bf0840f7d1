// SPDX-License-Identifier: Apache-2.0
import Encryption
import Foundation
import TestSupport
import Testing

@Suite("Ephemeral key", .serialized)
struct EphemeralKeyTests {
    /// Everything of an ephemeral key that can be seen from outside: folders, and processes that name one.
    func traces() throws -> Set<String> {
        var traces: Set<String> = []
        for base in ["/dev/shm", ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"]].compactMap({ $0 }) {
            let names = try FileManager.default.contentsOfDirectory(atPath: base)
            traces.formUnion(names.filter { $0.hasPrefix("salvor-key") }.map { "\(base)/\($0)" })
        }
        for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int(process) != nil {
            // A process may end while we look.
            guard let command = try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8) else {
                continue
            }
            if command.contains("salvor-key") { traces.insert(command) }
        }
        return traces
    }

    func waitUntilGone(_ before: Set<String>) async throws -> Set<String> {
        for _ in 0..<100 {
            if try traces().isSubset(of: before) { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try traces().subtracting(before)
    }

    @Test("reads back what was sealed to it besides the owner, and leaves neither folder nor process")
    func lifeCycle() async throws {
        let before = try traces()
        let owner = try ThrowawayKeys()
        let fingerprint = try await owner.add("Owner <o@example.com>", for: .encryption)
        let recipient = try await Keyring(home: owner.home).recipient(fingerprint)
        let key = try await EphemeralKey.make()
        #expect(try !traces().isSubset(of: before))
        let message = try await Sealer(recipients: [recipient, key.recipient]).seal([1, 2, 3])
        #expect(try await key.opener.open(message, limit: 3) == [1, 2, 3])
        await key.destroy()
        #expect(try await waitUntilGone(before) == [])
        await #expect(throws: EncryptionError.self) { try await key.opener.open(message, limit: 3) }
        #expect(try await Opener(home: owner.home).open(message, limit: 3) == [1, 2, 3])
    }

    @Test("is gone after an error, after cancelling, and when it is merely let go")
    func otherEnds() async throws {
        struct Stop: Error {}
        let before = try traces()
        await #expect(throws: Stop.self) { try await EphemeralKey.with { _ in throw Stop() } }
        #expect(try await waitUntilGone(before) == [])
        let task = Task {
            try await EphemeralKey.with { _ in try await Task.sleep(for: .seconds(60)) }
        }
        while try traces().isSubset(of: before) { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await waitUntilGone(before) == [])
        _ = try await EphemeralKey.make()
        #expect(try await waitUntilGone(before) == [])
    }

    @Test("what a killed run left is removed by the next one; what is in use is not")
    func killedRun() async throws {
        let inUse = try await EphemeralKey.make()
        let message = try await Sealer(recipients: [inUse.recipient]).seal([1])
        let left = "/dev/shm/salvor-key-\(UUID().uuidString.prefix(6))"
        try FileManager.default.createDirectory(
            atPath: left, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        try Data().write(to: URL(fileURLWithPath: "\(left)/in-use"))
        try await EphemeralKey.with(in: "/dev/shm") { _ in }
        #expect(!FileManager.default.fileExists(atPath: left))
        #expect(try await inUse.opener.open(message, limit: 1) == [1])
        await inUse.destroy()
    }

    @Test("refuses a folder on a disk")
    func onDisk() async throws {
        await #expect(throws: EncryptionError.notMemoryBacked(path: "/usr")) { try await EphemeralKey.make(in: "/usr") }
    }
}
