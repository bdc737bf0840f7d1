// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc
import Logs
import Synchronization
import TestSupport
import Testing
import Transports

@Suite("logs: directories that are rotated meanwhile")
struct LogsTests {
    private static func adapter(_ folder: String, _ extra: [(String, ConfigNode)] = []) throws -> any SourceAdapter {
        let mark = AdapterSettings.mark
        let pairs = [("paths", AdapterSettings.list([folder]))] + extra
        return try LogsFactory().make(
            AdapterSettings.environment(
                "logs", .mapping(pairs.map { ($0.0, mark, $0.1) }, mark), transport: LocalTransport()))
    }

    private static func fill() throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("logs")
        try folder.write("var/a.log", String(repeating: "a line\n", count: 400_000))
        try folder.write("var/b.log", "old b\n")
        try folder.write("var/b.log.1", "older b\n")
        try folder.write("var/z.log", "z\n")
        try Data(noise(50_000)).write(to: URL(fileURLWithPath: folder("var/y.log.2.gz")))
        return folder
    }

    @Test("logs come back; compressed ones byte by byte")
    func roundTrip() async throws {
        let folder = try Self.fill()
        let adapter = try Self.adapter(folder("var"))
        let captured = try await CapturedSource(adapter)
        #expect(captured.report.notices == [])
        let packed = try Data(contentsOf: URL(fileURLWithPath: folder("var/y.log.2.gz")))
        try FileManager.default.removeItem(atPath: folder("var"))
        let (journal, restore) = (MemoryJournal(), captured.restore())
        try await adapter.restoreWhole(restore, journal: journal)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder("var/y.log.2.gz"))) == packed)
        #expect(try String(contentsOfFile: folder("var/b.log.1"), encoding: .utf8) == "older b\n")
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(!FileManager.default.fileExists(atPath: folder("var")))
    }

    @Test("a rotation in the middle: what was renamed, compressed or removed away from the copy is named")
    func rotation() async throws {
        let folder = try Self.fill()
        // The first bytes pass while 'a.log' is read; the names in the directory are known by then.
        let sink = MeddlingSink {
            for (from, to) in [("b.log.1", "b.log.2"), ("b.log", "b.log.1")] {
                guard rename(folder("var/\(from)"), folder("var/\(to)")) == 0 else {
                    throw Failure(.localInput, "rename")
                }
            }
            try folder.write("var/b.log", "new b\n")
            try folder.write("var/z.log.gz", "packed z")
            unlink(folder("var/z.log"))
            let live = try FileHandle(forWritingTo: URL(fileURLWithPath: folder("var/a.log")))
            try live.seekToEnd()
            try live.write(contentsOf: Data("one more\n".utf8))
            try live.close()
        }
        let report = try await Self.adapter(folder("var")).capture(into: sink)
        #expect(
            report.notices.contains { $0.contains("b.log.1' was renamed to") && $0.contains("b.log.2") },
            "\(report.notices)")
        #expect(report.notices.contains { $0.contains("z.log' was compressed to") }, "\(report.notices)")
        #expect(report.notices.contains { $0.contains("1 files grew") }, "\(report.notices)")
        #expect(!report.notices.contains { $0.contains("changed while it was read") })
    }

    @Test("a file that is truncated while it is read is named; with 'on-rotation: fail' a missed one fails the source")
    func truncated() async throws {
        let folder = try Self.fill()
        let cut = MeddlingSink { truncate(folder("var/a.log"), 10) }
        let report = try await Self.adapter(folder("var")).capture(into: cut)
        #expect(report.notices.contains { $0.contains("a.log' changed while it was read") }, "\(report.notices)")
        try folder.write("var/a.log", String(repeating: "a line\n", count: 400_000))
        let strict = try Self.adapter(folder("var"), [("on-rotation", AdapterSettings.text("fail"))])
        let moving = MeddlingSink { rename(folder("var/b.log.1"), folder("var/b.log.9")) }
        let failed = await thrownFailure { try await strict.capture(into: moving) }
        #expect(failed?.code == .sourceChanged, "\(String(describing: failed))")
    }

    @Test("old and large files are left out when the plan says so")
    func limits() async throws {
        let folder = try Self.fill()
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -40 * 86400)], ofItemAtPath: folder("var/b.log.1"))
        let adapter = try Self.adapter(
            folder("var"),
            [("max-age-days", AdapterSettings.text("30")), ("max-file-bytes", AdapterSettings.text("100000"))])
        let captured = try await CapturedSource(adapter)
        #expect(captured.report.facts["files"] == .count(3))
        #expect(captured.report.notices == ["2 files were left out by age or size"])
    }

    @Test("settings are read strictly")
    func settings() throws {
        #expect(throws: Failure.self) { try Self.adapter("relative") }
        #expect(throws: Failure.self) { try Self.adapter("/var/log", [("max-age", AdapterSettings.text("30"))]) }
    }
}

/// Does something once the first megabyte of a tree has passed.
private final class MeddlingSink: CaptureSink {
    private let inner = MemoryCapture()
    private let action: @Sendable () throws -> Void

    init(_ action: @escaping @Sendable () throws -> Void) { self.action = action }

    convenience init(_ action: @escaping @Sendable () -> Int32) {
        self.init { () throws -> Void in
            guard action() == 0 else { throw Failure(.localInput, "the meddling failed") }
        }
    }

    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        try await inner.raw(name, fileName: fileName, estimatedBytes: estimatedBytes, body)
    }

    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        let once = Once(action)
        return try await inner.tree(name, estimatedBytes: estimatedBytes) { sink, base in
            try await body(
                ClosureSink { bytes in
                    try sink.write(bytes)
                    try once.after(bytes.count)
                }, base)
        }
    }
}

private final class Once: Sendable {
    private let passed = Atomic<Int>(0)
    private let action: @Sendable () throws -> Void

    init(_ action: @escaping @Sendable () throws -> Void) { self.action = action }

    func after(_ count: Int) throws {
        let old = passed.add(count, ordering: .relaxed).oldValue
        if old <= 500_000, old + count > 500_000 { try action() }
    }
}
