// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Files

@Suite("Files that change while they are captured")
struct ChangingFileTests {
    /// Captures with `act` run whenever a file named `victim` is about to be read.
    private func capture(
        _ tree: TreeFixture, _ settings: [String: [String]] = [:], once: Bool = false,
        _ act: @escaping @Sendable () -> Void
    ) async throws -> (MemoryStream, CaptureReport) {
        var adapter = try tree.adapter(settings)
        let calls = Mutex(0)
        adapter.settings.packing.beforeReading = { path in
            guard path.suffix(6).elementsEqual("victim".utf8) else { return }
            if calls.withLock({
                $0 += 1; return $0
            }) == 1 || !once {
                act()
            }
        }
        let (_, stream, report) = try await tree.capture(adapter)
        return (stream, report)
    }

    private func append(_ path: String, _ text: String) {
        guard let file = FileHandle(forWritingAtPath: path) else { return }
        file.seekToEndOfFile()
        file.write(Data(text.utf8))
    }

    @Test("A file that changed once is read again and stored whole, without a word")
    func once() async throws {
        let tree = try TreeFixture()
        try tree.write("victim", "before ")
        let path = "\(tree.root)/victim"
        let (stream, report) = try await capture(tree, once: true) { append(path, "after") }
        #expect(report.notices == [])
        let (copy, _) = try await tree.extracted(stream)
        #expect(try String(contentsOfFile: copy + "/victim", encoding: .utf8) == "before after")
        try TreeFixture.expectEqual(tree.root, copy)
    }

    @Test("A file that keeps growing is stored up to the size it had, and reported", arguments: [10, 3 << 20])
    func growing(size: Int) async throws {
        let tree = try TreeFixture()
        try tree.write("victim", String(repeating: "x", count: size))
        let path = "\(tree.root)/victim"
        let (stream, report) = try await capture(tree) { append(path, "more") }
        #expect(report.notices.count == 1)
        #expect(report.notices.first?.contains("victim' changed while it was read") == true)
        let (copy, _) = try await tree.extracted(stream)
        let content = try #require(FileManager.default.contents(atPath: copy + "/victim"))
        #expect(content.count >= size && content.prefix(size).allSatisfy { $0 == UInt8(ascii: "x") })
        #expect(report.facts["bytes"] == .count(Int64(content.count)))
    }

    @Test("A file that shrinks is filled up with zeros to the size it had, and reported", arguments: [2000, 3 << 20])
    func shrinking(size: Int) async throws {
        let tree = try TreeFixture()
        try tree.write("victim", String(repeating: "x", count: size))
        let path = "\(tree.root)/victim"
        let (stream, report) = try await capture(tree) {
            guard let length = FileManager.default.contents(atPath: path)?.count else { return }
            truncate(path, length - 100)
        }
        #expect(report.notices.contains { $0.contains("changed while it was read") })
        let (copy, _) = try await tree.extracted(stream)
        let content = try #require(FileManager.default.contents(atPath: copy + "/victim"))
        #expect(content.last == 0 && content.first == UInt8(ascii: "x"))
    }

    @Test("With 'on-change: fail' such a file fails the source")
    func failing() async throws {
        let tree = try TreeFixture()
        try tree.write("victim", "text")
        let path = "\(tree.root)/victim"
        let failure = await #expect(throws: Failure.self) {
            _ = try await capture(tree, ["on-change": ["fail"]]) { append(path, "more") }
        }
        #expect(failure?.code == .sourceChanged)
    }

    @Test("Files that vanish before they are read are reported and not listed")
    func vanishing() async throws {
        let tree = try TreeFixture()
        try tree.write("a-victim", "text")
        try tree.write("b", "text")
        try tree.write("c/deep", "text")
        let root = tree.root
        let (stream, report) = try await capture(tree) {
            try? FileManager.default.removeItem(atPath: root + "/b")
            try? FileManager.default.removeItem(atPath: root + "/c")
        }
        #expect(report.notices.count == 2, "\(report.notices)")
        #expect(report.notices.allSatisfy { $0.contains("vanished") })
        #expect(stream.members.count == 2)
        _ = try await tree.extracted(stream)
    }

    @Test("What vanishes after it was found changed is deleted in the incremental, not left as in the base")
    func vanishingInIncremental() async throws {
        let tree = try TreeFixture()
        for name in ["a-victim", "b", "c/deep"] { try tree.write(name, "text") }
        var adapter = try tree.adapter()
        let (base, _, _) = try await tree.capture(adapter)
        for name in ["a-victim", "b", "c/deep"] { try tree.write(name, "changed") }
        let root = tree.root
        adapter.settings.packing.beforeReading = { path in
            guard path.suffix(8).elementsEqual("a-victim".utf8) else { return }
            try? FileManager.default.removeItem(atPath: root + "/b")
            try? FileManager.default.removeItem(atPath: root + "/c")
        }
        let (_, stream, report) = try await tree.capture(adapter, base: base)
        #expect(report.notices.count >= 2)
        let (copy, _) = try await tree.extracted(stream)
        #expect(try FileManager.default.contentsOfDirectory(atPath: copy) == ["a-victim"])
    }

    @Test("A file that turns into something else is reported and not stored")
    func otherKind() async throws {
        let tree = try TreeFixture()
        try tree.write("a-victim", "text")
        try tree.write("b", "text")
        let root = tree.root
        let (stream, report) = try await capture(tree) {
            try? FileManager.default.removeItem(atPath: root + "/b")
            mkfifo(root + "/b", 0o600)
        }
        // The walk sees the fifo, since it comes after the file; a fifo is stored as one.
        #expect(stream.members.count == 3)
        #expect(report.facts["fifos and devices"] == .count(1))
    }

    @Test("What may not be read fails the source unless it is allowed")
    func unreadable() async throws {
        let tree = try TreeFixture()
        try tree.write("open", "text")
        try tree.write("closed", "secret")
        chmod(tree.root + "/closed", 0)
        guard !TreeFixture.isRoot else { return try await unreadableAsNobody(tree) }
        let failure = await #expect(throws: Failure.self) { _ = try await tree.capture(try tree.adapter()) }
        #expect(failure?.code == .sourceDenied)
        let allowed = try tree.adapter(["allow-unreadable": ["closed"]])
        let (_, stream, report) = try await tree.capture(allowed)
        #expect(stream.members.count == 2)
        #expect(report.notices.count == 1)
    }

    /// Root may read everything, so the check itself is all that can be looked at.
    private func unreadableAsNobody(_ tree: TreeFixture) async throws {
        let (_, stream, _) = try await tree.capture(try tree.adapter())
        #expect(stream.members.count == 3)
    }

    @Test("A path that does not exist fails the source and the preflight")
    func missing() async throws {
        let tree = try TreeFixture()
        let adapter = try tree.adapter(["paths": [tree.root, tree.folder("missing")]])
        let failure = await #expect(throws: Failure.self) { _ = try await tree.capture(adapter) }
        #expect(failure?.code == .sourceFailed)
        #expect(failure?.summary.contains("missing' does not exist") == true)
        #expect(await adapter.preflight().contains { $0.state == .failed && $0.name.contains("missing") })
    }

    @Test("A cancelled capture ends at once")
    func cancelled() async throws {
        let tree = try TreeFixture()
        for index in 0..<50 { try tree.write("f\(index)", "text") }
        var adapter = try tree.adapter()
        let reached = Mutex(0)
        adapter.settings.packing.beforeReading = { _ in
            reached.withLock { $0 += 1 }
        }
        let taken = adapter
        let task = Task { try await taken.capture(into: MemoryCapture()) }
        task.cancel()
        await #expect(throws: (any Error).self) { _ = try await task.value }
    }
}
