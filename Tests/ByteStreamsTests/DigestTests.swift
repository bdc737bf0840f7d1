// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation
import Testing

@Suite("Digests and blocking work")
struct DigestTests {
    @Test(
        "agrees with the vectors of FIPS 180-4",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ])
    func vectors(text: String, expected: String) {
        #expect(SHA256Digest.of(Array(text.utf8)).description == expected)
        #expect(SHA256Digest(hexadecimal: expected) == SHA256Digest.of(Array(text.utf8)))
    }

    @Test("a running digest may be asked in between")
    func running() {
        var hash = RunningSHA256()
        Array("a".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.finish() == SHA256Digest.of(Array("a".utf8)))
        Array("bc".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.finish() == SHA256Digest.of(Array("abc".utf8)) && hash.length == 3)
    }

    @Test(
        "what is no digest is refused",
        arguments: ["", "abc", String(repeating: "g", count: 64), String(repeating: "A", count: 64)])
    func refuses(text: String) {
        #expect(SHA256Digest(hexadecimal: text) == nil)
    }

    @Test("blocking work gives its result or its error, and a cancelled task's flag is set")
    func blocking() async throws {
        struct Stop: Error {}
        #expect(try await Blocking.run { 7 } == 7)
        await #expect(throws: Stop.self) { try await Blocking.run { throw Stop() } }
        let task = Task {
            try await CancellationFlag.run { flag in
                while true { try flag.check() }
            }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
