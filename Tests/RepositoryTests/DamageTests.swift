// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Repository
import Stores
import TestSupport
import Testing

/// Every object of a small repository, damaged in every way: validation must notice without a private key.
@Suite("Damage")
struct DamageTests {
    @Test("a flipped byte anywhere is reported at the checksum level")
    func flips() async throws {
        let test = try await TestRepository.make()
        _ = try await test.backUp(["dump": DumpText.rows(30)], at: 0)
        let id = try await test.backUp(["dump": DumpText.rows(30, changed: [3])], at: 100).id
        for file in try test.files(id) {
            let original = try Data(contentsOf: URL(fileURLWithPath: file))
            // Every byte of the signature, whose format is the only one with bytes that mean nothing; elsewhere a digest
            // stands for every byte, and a stride keeps this short.
            let step = file.hasSuffix(".sig") ? 1 : max(1, original.count / 40)
            for position in stride(from: 0, to: original.count, by: step) {
                var damaged = original
                damaged[position] ^= 1 << UInt8(position % 8)
                try damaged.write(to: URL(fileURLWithPath: file))
                try await expectDetected(test, id, "\(file) byte \(position)")
            }
            try original.write(to: URL(fileURLWithPath: file))
        }
        #expect(try await test.repository.validate(id, level: .contents, progress: NoProgress()).isProven)
    }

    @Test("an object cut to any of the lengths that fool gpg, or removed, is reported at the presence level")
    func cuts() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(30)], at: 0).id
        for file in try test.files(id) {
            let original = try Data(contentsOf: URL(fileURLWithPath: file))
            let isManifest = file.hasSuffix("manifest.json")
            for length in [0, 3, 10, 40, 96, original.count - 1] where length < original.count {
                try original.prefix(length).write(to: URL(fileURLWithPath: file))
                try await expectDetected(test, id, "\(file) cut to \(length)", level: .presence)
            }
            try FileManager.default.removeItem(atPath: file)
            if isManifest {
                // Without its manifest a bundle does not exist.
                #expect(try await !test.repository.bundles(plan: nil).contains(id))
            } else {
                try await expectDetected(test, id, "\(file) removed", level: .presence)
            }
            try original.write(to: URL(fileURLWithPath: file))
        }
    }

    @Test("objects swapped within a bundle or replayed from an older one are reported")
    func swaps() async throws {
        let test = try await TestRepository.make()
        let old = try await test.backUp(["dump": DumpText.rows(3000)], at: 0, full: true).id
        let id = try await test.backUp(["dump": DumpText.rows(3000, seed: 5)], at: 100, full: true).id
        let (before, after) = (try test.files(old), try test.files(id))
        for file in after {
            let original = try Data(contentsOf: URL(fileURLWithPath: file))
            let name = String(file.dropFirst(test.directory("repo/\(id.folder)").count))
            for other in after + before where other != file {
                let foreign = try Data(contentsOf: URL(fileURLWithPath: other))
                guard foreign != original, other.hasSuffix(name) || after.contains(other) else { continue }
                try foreign.write(to: URL(fileURLWithPath: file))
                try await expectDetected(test, id, "\(file) replaced by \(other)")
            }
            try original.write(to: URL(fileURLWithPath: file))
        }
    }

    @Test("a removed or changed predecessor breaks the chain")
    func chain() async throws {
        let test = try await TestRepository.make()
        let first = try await test.backUp(["dump": DumpText.rows(10)], at: 0, full: true).id
        let second = try await test.backUp(["dump": DumpText.rows(10)], at: 100, full: true).id
        try await test.store.delete("\(first.folder)/manifest.json")
        let report = try await test.repository.validate(second, level: .presence, progress: NoProgress())
        #expect(report.problems.map(\.code) == ["integrity.chain"])
    }

    @Test("a delta whose base is gone or damaged is reported, and does not restore")
    func base() async throws {
        let test = try await TestRepository.make()
        let first = try await test.backUp(["dump": DumpText.rows(3000)], at: 0).id
        let second = try await test.backUp(["dump": DumpText.rows(3000, changed: [5])], at: 100).id
        let segment = try #require(try test.files(first).first { $0.hasSuffix("000000.zst.gpg") })
        let original = try Data(contentsOf: URL(fileURLWithPath: segment))
        var damaged = original
        damaged[200] ^= 4
        try damaged.write(to: URL(fileURLWithPath: segment))
        try await expectDetected(test, second, "a damaged base")
        await #expect(throws: Failure.self) { try await test.read(second, "dump") }
        try original.write(to: URL(fileURLWithPath: segment))
        #expect(try await test.read(second, "dump") == DumpText.rows(3000, changed: [5]))
        try await test.store.delete("\(first.folder)/manifest.json")
        try await expectDetected(test, second, "a base gone", level: .presence)
        await #expect { try await test.read(second, "dump") } throws: { ($0 as? Failure)?.code == .baseMissing }
    }

    @Test("a bundle signed by a key that does not count is refused, and one of another repository's signer as well")
    func foreignSigner() async throws {
        let test = try await TestRepository.make()
        let id = try await test.backUp(["dump": DumpText.rows(10)], at: 0).id
        let strict = FormatRepository(
            store: test.store, state: StateDirectory(test.directory("other")), gnupgHome: test.pair.keys.home,
            trustedSigner: test.pair.recipient, concurrency: 1,
            probe: { _, now in ProbeResult(conditionalWrites: true, listAfterPut: true, at: now) })
        await #expect { try await strict.manifest(id) } throws: { ($0 as? Failure)?.code == .signatureInvalid }
    }

    private func expectDetected(
        _ test: TestRepository, _ id: BundleID, _ what: String, level: ProofLevel = .checksum
    ) async throws {
        let report = try await test.repository.validate(id, level: level, progress: NoProgress())
        #expect(!report.isProven, "\(what) went unnoticed at \(level)")
    }
}
