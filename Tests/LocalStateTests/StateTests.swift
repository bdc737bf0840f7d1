// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import LocalState
import TestSupport
import Testing

@Suite("Local state")
struct StateTests {
    @Test("files come back as written, with modes that keep others out, and missing ones are nil")
    func files() throws {
        let folder = try TemporaryDirectory("state")
        let state = StateDirectory(folder("a/b"))
        #expect(try state.read("x") == nil)
        try state.write("x", [1, 2, 3])
        try state.write("x", [4])
        #expect(try state.read("x") == [4])
        #expect(try state.names() == ["x"])
        for (path, mode) in [(folder("a/b"), 0o700), (folder("a/b/x"), 0o600)] {
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == mode)
        }
        try state.remove("x")
        try state.remove("x")
        #expect(try state.names() == [])
    }

    @Test("one run of a plan at a time")
    func lock() throws {
        let folder = try TemporaryDirectory("state")
        let state = StateDirectory(folder("s"))
        do {
            let first = try PlanLock(state, plan: "nightly")
            #expect { try PlanLock(state, plan: "nightly") } throws: { ($0 as? Failure)?.code == .locked }
            _ = try PlanLock(state, plan: "weekly")
            withExtendedLifetime(first) {}
        }
        _ = try PlanLock(state, plan: "nightly")
    }

    @Test("a base that was damaged in any file is no base")
    func bases() throws {
        let folder = try TemporaryDirectory("state")
        let bases = BaseFolder(StateDirectory(folder("bases")), source: "db", stream: "dump")
        #expect(bases.dump() == nil)
        try bases.beginNext()
        try bases.addFrame(0, [9, 9])
        let id = BundleID(plan: "p", started: Timestamp(seconds: 0), suffix: "abcdef")
        let base = DumpBase(
            bundle: id, taken: id.started, rawBytes: 2, storedBytes: 2,
            recipients: ["A"], segments: [.init(rawOffset: 0, rawLength: 2, sha256: SHA256Digest.of([9, 9]))],
            fingerprints: SHA256Digest.of([7]))
        try bases.adopt(base, fingerprints: [7])
        #expect(bases.dump()?.base == base)
        #expect(try bases.frame(0) == [9, 9])
        #expect(throws: Failure.self) { try bases.frame(1) }
        for name in ["fingerprints", "base.json"] {
            let file = URL(fileURLWithPath: folder("bases/db/dump/current/\(name)"))
            let original = try Data(contentsOf: file)
            try (original.dropLast() + [0xff]).write(to: file)
            #expect(bases.dump() == nil, "\(name) was damaged")
            try original.write(to: file)
        }
        #expect(bases.dump()?.base == base)
    }

    @Test("journals of restores are found again, and unknown ones are named")
    func journals() throws {
        let folder = try TemporaryDirectory("state")
        let journals = RestoreJournals(StateDirectory(folder("s")))
        let id = BundleID(plan: "p", started: Timestamp(seconds: 0), suffix: "abcdef")
        let record = RestoreRecord(
            id: "k3f9qz", plan: "p", bundle: id, started: id.started, include: ["a"],
            sources: [.init(name: "db", rename: nil, phase: .promoting, record: ["step": 2])])
        try journals.save(record)
        #expect(try journals.load("k3f9qz") == record)
        #expect(try journals.all() == [record])
        #expect(!record.isClosed)
        for unknown in ["zzzzzz", "../k3f9qz", ""] {
            #expect { try journals.load(unknown) } throws: { ($0 as? Failure)?.code == .restoreNotFound }
        }
    }
}
