// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("Incrementals of trees")
struct IncrementalTests {
    /// A change of the tree, and how many members it should store.
    struct Change: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var script: String
        var stored: ClosedRange<Int>
        var deleted: Int

        init(_ name: String, _ script: String, stored: ClosedRange<Int>, deleted: Int = 0) {
            (testDescription, self.script, self.stored, self.deleted) = (name, script, stored, deleted)
        }
    }

    static let changes = [
        Change("nothing", "", stored: 0...0),
        Change("content", "open('plain', 'a').write('more')", stored: 2...2),
        Change(
            "content with size and time kept",
            "t = os.stat('plain').st_mtime_ns; open('plain', 'w').write('CONTENT'); os.utime('plain', ns=(t, t))",
            stored: 2...2),
        Change("mode", "os.chmod('plain', 0o600)", stored: 2...2),
        Change("attribute", "os.setxattr('plain', 'user.comment', b'new')", stored: 2...2),
        Change("new file", "open('sticky/new', 'w').write('n')", stored: 2...2),
        Change("deleted file", "os.unlink('plain')", stored: 1...1, deleted: 1),
        Change("deleted directory", "import shutil; shutil.rmtree('part' * 10)", stored: 1...1, deleted: 41),
        Change("renamed file", "os.rename('plain', 'sticky/plain')", stored: 3...3, deleted: 1),
        Change("renamed directory", "os.rename('links', 'renamed')", stored: 2...5, deleted: 3),
        Change("directory's mode only", "os.chmod('sticky', 0o755)", stored: 1...1),
        Change(
            "file becomes directory", "os.unlink('plain'); os.mkdir('plain'); open('plain/in', 'w').write('i')",
            stored: 3...3, deleted: 1),
        Change(
            "directory becomes file", "import shutil; shutil.rmtree('links'); open('links', 'w').write('f')",
            stored: 2...3, deleted: 3),
        Change("file becomes symlink", "os.unlink('plain'); os.symlink('empty', 'plain')", stored: 2...2, deleted: 1),
        Change("symlink becomes directory", "os.unlink('dangling'); os.mkdir('dangling')", stored: 2...2, deleted: 1),
        Change("symlink's target", "os.unlink('dangling'); os.symlink('elsewhere', 'dangling')", stored: 2...2),
        Change("new hard link", "os.link('plain', 'a-link')", stored: 3...3),
        Change("a hard link less", "os.unlink('links/a')", stored: 4...4, deleted: 1),
        Change("hard link becomes a file", "os.unlink('links/b'); open('links/b', 'w').write('own')", stored: 5...5),
        Change("sparse file", "f = open('sparse', 'r+b'); f.seek(4096); f.write(b'x')", stored: 2...2),
        Change(
            "swapped names", "os.rename('plain', 'x'); os.rename('empty', 'plain'); os.rename('x', 'empty')",
            stored: 3...3),
    ]

    @Test("An incremental stores what changed, and with its base it is the live tree", arguments: changes)
    func change(_ change: Change) async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let adapter = try tree.adapter(["devices": ["store"]])
        let (base, full, _) = try await tree.capture(adapter)
        try tree.python(change.script)
        let (_, stream, report) = try await tree.capture(adapter, base: base)
        #expect(change.stored.contains(stream.members.count), "\(stream.members.count) stored")
        #expect(stream.deletions.count == change.deleted)
        let (copy, _) = try await tree.extracted(stream)
        try TreeFixture.expectEqual(tree.root, copy)
        // By hand: the base, the deletions, the incremental.
        let target = try tree.newFolder("by-hand")
        try ShortCommand.run(
            "sh",
            [
                "-ec",
                """
                tar --xattrs --xattrs-include='*' --acls --numeric-owner -xpf "$1" -C "$3"
                cd "$3"
                test "$(tar -tf "$2" | head -n 1)" = .salvor-deleted
                tar -xOf "$2" --occurrence=1 .salvor-deleted | xargs -0 -r rm -d --
                tar --xattrs --xattrs-include='*' --acls --numeric-owner -xpf "$2" --exclude=.salvor-deleted
                """, "sh", try tree.save(full), try tree.save(stream), target,
            ])
        try TreeFixture.expectEqual(tree.root, tree.below(target))
        // The facts are those of the whole tree.
        let (_, _, again) = try await tree.capture(adapter)
        #expect(report.facts == again.facts)
    }

    @Test("Incrementals go on from the same base, not from each other")
    func twice() async throws {
        let tree = try TreeFixture()
        try tree.write("a", "1")
        try tree.write("b", "1")
        let adapter = try tree.adapter()
        let (base, _, _) = try await tree.capture(adapter)
        try tree.write("a", "22")
        _ = try await tree.capture(adapter, base: base)
        try tree.write("b", "22")
        let (_, stream, _) = try await tree.capture(adapter, base: base)
        #expect(stream.members.count == 3, "both files and their directory")
        let (copy, _) = try await tree.extracted(stream)
        try TreeFixture.expectEqual(tree.root, copy)
    }

    @Test("A name that is excluded from now on is gone, and what was linked to it keeps its content")
    func excludedLater() async throws {
        let tree = try TreeFixture()
        try tree.write("a", "content")
        try tree.python("os.link('a', 'b'); os.link('a', 'c')")
        let (base, _, _) = try await tree.capture(try tree.adapter())
        let (_, stream, _) = try await tree.capture(try tree.adapter(["exclude": ["/**/root/a"]]), base: base)
        #expect(stream.deletions.map { $0.suffix(6) } == [Array("root/a".utf8)[...]])
        let (copy, _) = try await tree.extracted(stream)
        #expect(FileManager.default.contents(atPath: copy + "/c") == Data("content".utf8))
        #expect(!FileManager.default.fileExists(atPath: copy + "/a"))
    }

    @Test("Files that never change are known by size, time and inode alone")
    func immutable() async throws {
        let tree = try TreeFixture()
        try tree.write("sstable", "rows")
        let adapter = try tree.adapter()
        let (_, full, _) = try await tree.capture(adapter)
        // A hard link in another place changes the change time only.
        try tree.python("os.link('sstable', '../snapshot')")
        var capture = TreeCapture(
            roots: [TreeRoot(path: tree.root)], walking: adapter.settings.walking, packing: adapter.settings.packing)
        capture.evidence = .immutableContent
        let sink = MemoryCapture()
        let base = TreeBase(
            bundle: BundleID(plan: "p", started: Timestamp(seconds: 0), suffix: "aaaaaa"), members: full.members)
        let taken = capture
        _ = try await sink.tree("t", estimatedBytes: nil) { sink, _ in
            try taken.run(into: sink, base: base, flag: .init()).end
        }
        #expect(sink.stream("t")?.members.count == 0)
    }

    @Test("A file changed within the clock's last tick before it was read is stored again")
    func racing() async throws {
        let tree = try TreeFixture()
        try tree.write("a", "one")
        let base = MemoryCapture()
        let adapter = try tree.adapter()
        _ = try await adapter.capture(into: base)
        let listed = try #require(base.stream("tree")).members
        var changes: [Int64] = []
        try listed.forEach { changes.append($0.changed) }
        // Unless this test was held up for longer than two ticks.
        if changes.contains(0) {
            let (_, stream, _) = try await tree.capture(adapter, base: base)
            #expect(stream.members.count >= 1)
        }
    }
}
