// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import LocalState
import Operations
import Repository
import TestSupport
import Testing

/// What a host remembers, and what happens when the memory, the clock or the store's own past is wrong.
@Suite("Memory, clocks and rolled-back stores")
struct LocalMemoryTests {
    private func storage(_ manifest: Manifest) -> StreamStorage { manifest.sources[0].streams[0].storage }

    @Test("whatever file of the local state is damaged in whatever way, the next night comes back byte for byte")
    func damagedState() async throws {
        let test = try await TestRepository.make()
        let rows = DumpText.rows(2000)
        _ = try await test.backUp(["dump": rows], at: 0)
        _ = try await test.backUp(["dump": DumpText.rows(2000, changed: [1])], at: 100)
        let (state, kept) = (test.directory("state"), test.directory("kept"))
        try FileManager.default.copyItem(atPath: state, toPath: kept)
        let files = try #require(FileManager.default.enumerator(atPath: kept)).compactMap { $0 as? String }
            .filter { FileManager.default.contents(atPath: "\(kept)/\($0)") != nil }.sorted()
        for name in ["chain.json", "base.json", "fingerprints", "0.zst"] {
            #expect(files.contains { $0.hasSuffix("/\(name)") }, "\(files)")
        }
        let damages: [(String, @Sendable (Data) -> Data?)] = [
            ("removed", { _ in nil }), ("cut", { $0.prefix($0.count / 2) }),
            (
                "flipped",
                { data in
                    var data = data
                    data[data.count / 2] ^= 0x10
                    return data
                }
            ),
        ]
        var moment: Int64 = 200
        for file in files {
            for (what, damage) in damages {
                try FileManager.default.removeItem(atPath: state)
                try FileManager.default.copyItem(atPath: kept, toPath: state)
                let url = URL(fileURLWithPath: "\(state)/\(file)")
                if let spoiled = damage(try Data(contentsOf: url)) {
                    try spoiled.write(to: url)
                } else {
                    try FileManager.default.removeItem(at: url)
                }
                moment += 100
                let tonight = DumpText.rows(2000, changed: [Int(moment) % 2000])
                let manifest = try await test.backUp(["dump": tonight], at: moment)
                #expect(try await test.read(manifest.id, "dump") == tonight, "\(file) \(what)")
            }
        }
    }

    @Test("an older copy of the state folder gives a right delta against the base it knows, and the chain goes on")
    func olderState() async throws {
        let test = try await TestRepository.make()
        _ = try await test.backUp(["dump": DumpText.rows(2000)], at: 0)
        let (state, kept) = (test.directory("state"), test.directory("kept"))
        try FileManager.default.copyItem(atPath: state, toPath: kept)
        let newest = try await test.backUp(["dump": DumpText.rows(2000, seed: 9)], at: 100, full: true)
        try FileManager.default.removeItem(atPath: state)
        try FileManager.default.moveItem(atPath: kept, toPath: state)
        let tonight = DumpText.rows(2000, changed: [4])
        let manifest = try await test.backUp(["dump": tonight], at: 200)
        #expect(try await test.read(manifest.id, "dump") == tonight)
        #expect(manifest.previous?.id == newest.id)
        #expect(try await test.repository.validate(manifest.id, level: .contents, progress: NoProgress()).isProven)
    }

    @Test("a clock set back by days, then forward again, costs a full and never a wrong bundle or a broken chain")
    func clock() async throws {
        let test = try await TestRepository.make()
        let day: Int64 = 86_400
        var expected: [(BundleID, [UInt8])] = []
        var storages: [StreamStorage] = []
        // Ahead by ten days, back, a little further, then where it belongs; at last a leap of a year.
        for (number, seconds) in [10 * day, 0, 100, day, 10 * day + 50, 375 * day].enumerated() {
            let rows = DumpText.rows(2000, changed: [number])
            let manifest = try await test.backUp(["dump": rows], at: seconds)
            expected.append((manifest.id, rows))
            storages.append(storage(manifest))
            #expect(
                manifest.previous?.id == expected.dropLast().last?.0, "the chain follows what was committed, \(number)")
        }
        #expect(storages == [.full, .full, .delta, .delta, .delta, .full])
        for (id, rows) in expected {
            #expect(try await test.read(id, "dump") == rows)
            let report = try await test.repository.validate(id, level: .checksum, progress: NoProgress())
            #expect(report.problems == [], "\(id)")
        }
    }

    @Test("newest bundles that were taken away are missed by status, by the next run's note and by its chain")
    func withheld() async throws {
        let test = try await TestRepository.make()
        let first = try await test.backUp(["dump": DumpText.rows(10)], at: 0)
        let second = try await test.backUp(["dump": DumpText.rows(10)], at: 100)
        struct Clock: WallClock {
            func now() -> Timestamp { Timestamp(seconds: 1_790_000_200) }
        }
        let repository = test.repository
        let before = await Status(clock: Clock()).entry(test.plan, repository: { repository })
        #expect(before.problems == [])
        for file in try test.files(second.id) { try FileManager.default.removeItem(atPath: file) }
        let status = await Status(clock: Clock()).entry(test.plan, repository: { repository })
        #expect(status.lastGood == first.id)
        #expect(status.problems.contains { $0.contains(second.id.text) && $0.contains("gone") }, "\(status.problems)")
        let notes = NoteKeeper()
        let third = try await test.backUp(["dump": DumpText.rows(10)], at: 300, notes: notes)
        #expect(notes.notes.contains { $0.contains(second.id.text) && $0.contains("gone") })
        let report = try await test.repository.validate(third.id, level: .presence, progress: NoProgress())
        #expect(report.problems.map(\.code) == ["integrity.chain"])
    }

    @Test("a predecessor replaced by another bundle of the same name and a good signature breaks the chain")
    func replaced() async throws {
        let test = try await TestRepository.make()
        let first = try await test.backUp(["dump": DumpText.rows(10)], at: 0, full: true)
        let second = try await test.backUp(["dump": DumpText.rows(10)], at: 100, full: true)
        #expect(try await test.repository.validate(second.id, level: .presence, progress: NoProgress()).isProven)
        // Signed by the right key: the same manifest with another comment.
        var forged = try await test.repository.manifest(first.id).manifest
        forged.comment = "harmless"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        let bytes = Array(try encoder.encode(forged)) + [10]
        let file = test.directory("repo/\(first.id.folder)/manifest.json")
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        try FileManager.default.removeItem(atPath: file + ".sig")
        try await test.pair.keys.gpg([
            "--local-user", test.pair.signer, "--detach-sign", "--output", file + ".sig", file,
        ])
        #expect(try await test.repository.manifest(first.id).manifest.comment == "harmless", "it is signed")
        let report = try await test.repository.validate(second.id, level: .presence, progress: NoProgress())
        #expect(report.problems.map(\.code) == ["integrity.chain"])
    }
}
