// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import Repository
import Stores
import TestSupport
import Testing

@Suite("Bundles")
struct BundleTests {
    @Test("a full gives back its bytes, whatever their length", arguments: [0, 1, 65_535, 65_536, 65_537, 300_000])
    func full(length: Int) async throws {
        let test = try await TestRepository.make()
        let bytes = Array(DumpText.rows(12_000).prefix(length))
        let manifest = try await test.backUp(["dump": bytes], at: 0)
        #expect(manifest.sources[0].streams[0].storage == .full)
        #expect(manifest.rawBytes == UInt64(length))
        #expect(try await test.read(manifest.id, "dump") == bytes)
        let report = try await test.repository.validate(manifest.id, level: .contents, progress: NoProgress())
        #expect(report.problems == [])
    }

    @Test("the next night is a small delta that gives back its own bytes, also with rows put in front")
    func delta() async throws {
        let test = try await TestRepository.make()
        let first = DumpText.rows(40_000)
        let base = try await test.backUp(["dump": first], at: 0)
        let second =
            Array("a new table\n".utf8) + DumpText.rows(3000, seed: 99)
            + DumpText.rows(40_000, changed: Set(stride(from: 0, to: 40_000, by: 100)))
        let delta = try await test.backUp(["dump": second], at: 86_400)
        let stream = delta.sources[0].streams[0]
        #expect(stream.storage == .delta)
        #expect(stream.base == base.id)
        #expect(stream.storedBytes * 4 < base.storedBytes)
        #expect(delta.previous?.id == base.id)
        #expect(try await test.read(delta.id, "dump") == second)
        #expect(try await test.read(base.id, "dump") == first)
        // Depth is one: the third night refers to the full, too.
        let third = try await test.backUp(["dump": first], at: 2 * 86_400)
        #expect(third.sources[0].streams[0].base == base.id)
        #expect(try await test.read(third.id, "dump") == first)
    }

    @Test("a base too old, a forced full, a lost or damaged state folder and a removed base each give a full")
    func rebase() async throws {
        let test = try await TestRepository.make()
        let bytes = DumpText.rows(20_000)
        func storage(_ manifest: Manifest) -> StreamStorage { manifest.sources[0].streams[0].storage }
        let first = try await test.backUp(["dump": bytes], at: 0)
        #expect(storage(try await test.backUp(["dump": bytes], at: 100)) == .delta)
        #expect(storage(try await test.backUp(["dump": bytes], at: 200, full: true)) == .full)
        #expect(storage(try await test.backUp(["dump": bytes], at: 31 * 86_400 + 300)) == .full)
        #expect(storage(try await test.backUp(["dump": bytes], at: 31 * 86_400 + 400)) == .delta)
        let bases = test.directory("state/repositories")
        let frames = try #require(FileManager.default.enumerator(atPath: bases)).compactMap { $0 as? String }
            .filter { $0.hasSuffix("current/0.zst") }
        #expect(frames.count == 1)
        var frame = try Data(contentsOf: URL(fileURLWithPath: "\(bases)/\(frames[0])"))
        frame[frame.count / 2] ^= 1
        try frame.write(to: URL(fileURLWithPath: "\(bases)/\(frames[0])"))
        let notes = NoteKeeper()
        let damaged = try await test.backUp(["dump": bytes], at: 31 * 86_400 + 500, notes: notes)
        #expect(notes.notes.contains { $0.contains("local base") })
        #expect(try await test.read(damaged.id, "dump") == bytes)
        try FileManager.default.removeItem(atPath: test.directory("state"))
        let afterLoss = try await test.backUp(["dump": bytes], at: 31 * 86_400 + 600)
        #expect(storage(afterLoss) == .full)
        #expect(afterLoss.previous?.id == damaged.id)
        try await test.store.delete("\(afterLoss.id.folder)/manifest.json")
        #expect(storage(try await test.backUp(["dump": bytes], at: 31 * 86_400 + 700)) == .full)
        _ = first
    }

    @Test("without a local base everything is a full and the state folder holds no data")
    func noLocalBase() async throws {
        let test = try await TestRepository.make(keepsLocalBase: false)
        let bytes = DumpText.rows(1000)
        for night in 0..<2 {
            let manifest = try await test.backUp(["dump": bytes], at: Int64(night) * 86_400)
            #expect(manifest.sources[0].streams[0].storage == .full)
        }
        let kept = try #require(FileManager.default.enumerator(atPath: test.directory("state"))).compactMap {
            $0 as? String
        }
        #expect(!kept.contains { $0.hasSuffix(".zst") })
    }

    @Test("prove: contents reads everything back with a key that is gone afterwards")
    func proveContents() async throws {
        let test = try await TestRepository.make(proof: .contents)
        let base = try await test.backUp(["dump": DumpText.rows(5000)], at: 0)
        let delta = try await test.backUp(["dump": DumpText.rows(5000, changed: [7])], at: 100)
        #expect(base.proof == .contents && delta.proof == .contents)
        #expect(delta.sources[0].streams[0].storage == .delta)
        // Only the owner's key is named as one that can decrypt.
        #expect(delta.recipients == [test.pair.recipient])
    }

    @Test("a producer that lies about its length or fails leaves no bundle")
    func liars() async throws {
        let test = try await TestRepository.make()
        let run = BundleRun(
            id: BundleID(plan: "nightly", started: Timestamp(seconds: 1_790_000_000), suffix: "abcdef"), host: "test",
            tool: "test", tags: [], comment: "", forcesFull: false)
        let writer = try await test.repository.begin(run, plan: test.plan, progress: NoProgress())
        await #expect {
            _ = try await writer.sink(for: "db").raw("short", fileName: "x", estimatedBytes: nil) { sink in
                try await Blocking.run { try sink.write([1, 2, 3]) }
                return StreamEnd(length: 4)
            }
        } throws: { "\($0)".contains("3 bytes") }
        struct Broken: Error {}
        await #expect(throws: Broken.self) {
            _ = try await writer.sink(for: "db").raw("broken", fileName: "x", estimatedBytes: nil) { sink in
                try await Blocking.run { try sink.write([UInt8](repeating: 0, count: 300_000)) }
                throw Broken()
            }
        }
        await writer.abandon()
        #expect(try await test.repository.bundles(plan: nil) == [])
        #expect(try await test.store.list("bundles/").isEmpty)
    }

    @Test("a store that fails in the middle fails the run and leaves nothing visible")
    func failingStore() async throws {
        let test = try await TestRepository.make()
        let faulty = FaultyStore(
            test.store, [.init(.put, "000003.zst.gpg", .fail(Failure(.storageFull, "the disk is full")))])
        await #expect { try await test.backUp(["dump": DumpText.rows(20_000)], at: 0, store: faulty) } throws: {
            ($0 as? Failure)?.code == .storageFull
        }
        try faulty.requireAllHit()
        #expect(try await test.repository.bundles(plan: nil) == [])
    }
}
