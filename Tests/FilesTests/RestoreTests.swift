// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Files

@Suite("Restores of files")
struct RestoreTests {
    /// A captured tree that has changed since; gives a copy of the tree as captured.
    private func captured() async throws -> (TreeFixture, FilesAdapter, MemoryStream, CaptureReport, String) {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let adapter = try tree.adapter(["devices": ["store"]])
        let (_, stream, report) = try await tree.capture(adapter)
        let (copy, _) = try await tree.extracted(stream)
        try tree.python("os.unlink('plain'); open('new', 'w').write('written since')")
        return (tree, adapter, stream, report, copy)
    }

    @Test("A restore is staged beside, verified, promoted in one step, and can be rolled back")
    func wholeCycle() async throws {
        let (tree, adapter, stream, report, original) = try await captured()
        let changed = try TreeFixture.describe(tree.root)
        let restore = try tree.restore(stream, report)
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["directory \(tree.root)"])
        #expect(try tree.beside() == [], "planning makes nothing")
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try TreeFixture.describe(tree.root) == changed, "staging touches nothing")
        #expect(try tree.beside() == [".root.salvor-r1"])
        let facts = try await adapter.verify(restore, journal: journal)
        #expect(facts.allSatisfy(\.isEqual) && facts.count >= 6, "\(facts.filter { !$0.isEqual })")
        try await adapter.promote(restore, journal: journal)
        try TreeFixture.expectEqual(original, tree.root)
        #expect(try TreeFixture.describe(tree.folder(".root.before-r1")) == changed)
        try await adapter.rollBack(restore, journal: journal)
        #expect(try TreeFixture.describe(tree.root) == changed)
        #expect(try tree.beside() == [])
        #expect(await journal.recorded == .null)
    }

    @Test("Settling removes the old tree; abandoning removes the staged one")
    func settleAndAbandon() async throws {
        let (tree, adapter, stream, report, original) = try await captured()
        let restore = try tree.restore(stream, report)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        try await adapter.abandon(restore, journal: journal)
        #expect(try tree.beside() == [])
        try await adapter.stage(restore, journal: journal)
        try await adapter.promote(restore, journal: journal)
        await #expect(throws: Failure.self) { try await adapter.abandon(restore, journal: journal) }
        try await adapter.settle(restore, journal: journal)
        try await adapter.settle(restore, journal: journal)
        #expect(try tree.beside() == [])
        try TreeFixture.expectEqual(original, tree.root)
    }

    @Test("Where nothing lives, the tree and its parents are made, and a roll-back removes them")
    func newTarget() async throws {
        let (tree, adapter, stream, report, original) = try await captured()
        let target = tree.folder("some/where/else")
        let restore = try tree.restore(stream, report, rename: target)
        let journal = MemoryJournal()
        #expect(try await adapter.planRestore(restore).replaces == [])
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await adapter.promote(restore, journal: journal)
        try TreeFixture.expectEqual(original, target)
        try await adapter.rollBack(restore, journal: journal)
        #expect(!FileManager.default.fileExists(atPath: tree.folder("some")))
    }

    @Test("An incremental is restored with its base")
    func incremental() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let adapter = try tree.adapter(["devices": ["store"]])
        let (base, _, _) = try await tree.capture(adapter)
        try tree.python("os.unlink('plain'); os.chmod('sticky', 0o700); os.rename('links', 'moved')")
        let (_, stream, report) = try await tree.capture(adapter, base: base)
        let (copy, _) = try await tree.extracted(stream)
        try tree.python("open('since', 'w').write('x')")
        let restore = try tree.restore(stream, report)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await adapter.promote(restore, journal: journal)
        try TreeFixture.expectEqual(copy, tree.root)
    }

    @Test(
        "Verification finds every difference of a staged tree",
        arguments: [
            ("open('plain', 'r+').write('X')", "plain content"), ("os.chmod('plain', 0o777)", "plain mode"),
            ("os.utime('plain', ns=(0, 1))", "plain modification time"), ("os.unlink('fifo')", "fifo presence"),
            ("open('extra', 'w')", "extra presence"), ("os.unlink('fifo'); os.mkdir('fifo')", "fifo kind"),
            ("os.unlink('links/b'); open('links/b', 'w').write('linked')", "links/b kind"),
            ("os.truncate('large', 5)", "large size"),
        ])
    func verification(_ script: String, _ name: String) async throws {
        let (tree, adapter, stream, report, _) = try await captured()
        let restore = try tree.restore(stream, report)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        try tree.python(script, in: tree.folder(".root.salvor-r1"))
        let different = try await adapter.verify(restore, journal: journal).filter { !$0.isEqual }
        #expect(different.contains { $0.name.hasSuffix(name) }, "\(different)")
    }

    @Test("Damaged or exchanged bytes are refused while they are extracted")
    func damagedStream() async throws {
        let (tree, adapter, stream, report, _) = try await captured()
        var offset = 0
        try stream.members.forEach {
            if $0.path.suffix(5).elementsEqual("large".utf8) { offset = Int($0.offset + $0.length) }
        }
        var bytes = stream.bytes
        bytes[offset - 1000] ^= 1
        let damaged = MemoryStream(
            name: "tree", kind: .tar, fileName: "tree.tar", bytes: bytes, members: stream.members)
        let failure = await #expect(throws: Failure.self) {
            try await adapter.stage(try tree.restore(damaged, report), journal: MemoryJournal())
        }
        #expect(failure?.code == .integrity)
        #expect(failure?.summary.contains("large") == true)
        // A list that names fewer members than the archive holds.
        var fewer = MemberTable()
        try stream.members.forEach { if !$0.path.suffix(5).elementsEqual("large".utf8) { fewer.append($0) } }
        let invented = MemoryStream(
            name: "tree", kind: .tar, fileName: "tree.tar", bytes: stream.bytes, members: fewer)
        let other = await #expect(throws: Failure.self) { _ = try await tree.extracted(invented) }
        #expect(other?.code == .integrity)
    }

    @Test("Only the bytes of chosen members are read")
    func ranges() async throws {
        let tree = try TreeFixture()
        // Apart by more than a segment, so that the gap is not worth reading.
        try tree.python(
            "open('a', 'w').write('first'); open('b', 'wb').write(bytes(40 << 20)); open('c', 'w').write('last')")
        let (_, stream, _) = try await tree.capture(try tree.adapter())
        let counting = CountingStream(stream)
        let (copy, _) = try await tree.extracted(counting, include: ["c"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: copy) == ["c"])
        #expect(counting.bytesRead < 32 << 20)
        await #expect(throws: Failure.self) { _ = try await tree.extracted(stream, include: ["nothing-like-this"]) }
    }

    @Test("A chosen hard link comes with its content, though the file it was linked to was not chosen")
    func chosenLink() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, stream, _) = try await tree.capture(try tree.adapter())
        let (copy, report) = try await tree.extracted(stream, include: ["z-link"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: copy) == ["z-link"])
        #expect(try String(contentsOfFile: copy + "/z-link", encoding: .utf8) == "linked")
        #expect(report.hardLinks == 1)
    }
}

/// Counts what is read of a stream.
final class CountingStream: StoredStream {
    private let inner: MemoryStream
    private let count = BytesRead()

    init(_ inner: MemoryStream) { self.inner = inner }

    var bytesRead: Int { count.value.withLock { $0 } }
    var name: String { inner.name }
    var kind: StreamKind { inner.kind }
    var storage: StreamStorage { inner.storage }
    var fileName: String { inner.fileName }
    var receipt: StreamReceipt { inner.receipt }
    var members: MemberTable { inner.members }
    var deletions: [[UInt8]] { inner.deletions }
    var base: (any StoredStream)? { inner.base }

    func read(
        _ range: Range<UInt64>?, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let count = count
        try await inner.read(range) { bytes in
            count.value.withLock { $0 += bytes.count }
            try consume(bytes)
        }
    }
}

/// A count shared between threads.
private final class BytesRead: Sendable {
    let value = Mutex(0)
}
