// SPDX-License-Identifier: Apache-2.0
import Archiving
import Domain
import FileSystem
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("Everything a file can have")
struct AttributeTests {
    private static let settings = ["devices": ["store"]]

    @Test("A captured tree comes back with every attribute, hole and link")
    func roundTrip() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        // Part of a second before 1970: libarchive and GNU tar read its text differently.
        try tree.python("os.utime('z-link', ns=(1, -1500000001))")
        let (_, stream, report) = try await tree.capture(try tree.adapter(Self.settings))
        let (copy, restored) = try await tree.extracted(stream)
        try TreeFixture.expectEqual(tree.root, copy)
        #expect(restored.notices.isEmpty)
        #expect(report.facts["files"] == .count(Int64(restored.files)))
        #expect(report.facts["hard links"] == .count(2))
        #expect(report.facts["bytes"] == .count(Int64(restored.bytes)))
    }

    @Test("GNU tar brings it back with every attribute")
    func gnuTar() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, stream, _) = try await tree.capture(try tree.adapter(Self.settings))
        let target = try tree.newFolder("gnu")
        try ShortCommand.run(
            "tar",
            [
                "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-xpf", try tree.save(stream), "-C",
                target,
            ])
        try TreeFixture.expectEqual(tree.root, tree.below(target))
    }

    @Test("bsdtar brings it back with every attribute")
    func bsdTar() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, stream, _) = try await tree.capture(try tree.adapter(Self.settings))
        let target = try tree.newFolder("bsd")
        try ShortCommand.run(
            "bsdtar", ["--xattrs", "--acls", "--numeric-owner", "-xpf", try tree.save(stream), "-C", target])
        try TreeFixture.expectEqual(tree.root, tree.below(target))
    }

    @Test("An unchanged tree gives the same bytes again")
    func deterministic() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, first, _) = try await tree.capture(try tree.adapter(Self.settings))
        // Reading changes access times, making a link and removing it change times of inodes: none of them is stored.
        try tree.python("os.link('plain', '../other'); os.unlink('../other'); os.stat('plain')")
        let (_, second, _) = try await tree.capture(try tree.adapter(Self.settings))
        #expect(first.bytes == second.bytes)
    }

    @Test("Every member is exactly where the list says")
    func offsets() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, stream, _) = try await tree.capture(try tree.adapter(Self.settings))
        var end: UInt64 = 0
        try stream.members.forEach { member in
            #expect(member.offset == end)
            #expect(member.offset % 512 == 0 && member.length % 512 == 0 && member.length >= 512)
            end = member.offset + member.length
            let alone = Array(stream.bytes[Int(member.offset)..<Int(end)]) + [UInt8](repeating: 0, count: 1024)
            let reader = try TarReader(OneChunk(alone))
            let header = try #require(try reader.next())
            #expect(header.path == member.path)
            #expect(header.size == member.size)
            #expect(try reader.next() == nil)
        }
        #expect(end + 1024 == UInt64(stream.bytes.count))
    }

    @Test("Paths longer than the kernel takes in one call are captured and restored")
    func deep() async throws {
        let tree = try TreeFixture()
        try tree.python(
            """
            for i in range(60):
                os.mkdir("d" * 120); os.chdir("d" * 120)
            open("bottom", "w").write("deep")
            """)
        let (_, stream, _) = try await tree.capture(try tree.adapter())
        #expect(stream.members.count == 62)
        let (copy, _) = try await tree.extracted(stream)
        try TreeFixture.expectEqual(tree.root, copy)
        // The tests' own clean-up does not reach that deep.
        for path in [tree.root, tree.folder(String(copy.dropFirst(tree.folder.path.count + 1)).prefixPart)] {
            let parent = try Descriptor.directory(
                Array(URL(fileURLWithPath: path).deletingLastPathComponent().path.utf8))
            try TreeRemoval.remove(Array(URL(fileURLWithPath: path).lastPathComponent.utf8), in: parent.raw)
        }
    }

    @Test("Sockets are reported and left out, devices too unless asked for")
    func specials() async throws {
        let tree = try TreeFixture()
        try tree.python("s = socket.socket(socket.AF_UNIX); s.bind('sock')")
        if TreeFixture.isRoot { try tree.python("os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3))") }
        let (_, stream, report) = try await tree.capture(try tree.adapter())
        #expect(stream.members.count == 1)
        #expect(report.notices.contains { $0.contains("/sock' is a socket") })
        #expect(report.notices.contains { $0.contains("/null' is a device") } == TreeFixture.isRoot)
    }
}

/// A source of one piece.
final class OneChunk: ByteSource {
    private let bytes: UnsafeMutableRawBufferPointer
    private var isGiven = false

    init(_ bytes: [UInt8]) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyBytes(from: bytes)
    }

    deinit { bytes.deallocate() }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        defer { isGiven = true }
        return isGiven ? nil : UnsafeRawBufferPointer(bytes)
    }
}

extension String {
    fileprivate var prefixPart: String { String(split(separator: "/").first ?? "") }
}
