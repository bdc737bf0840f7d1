// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite("What the verification of a staged tree compares")
struct AttributeVerificationTests {
    /// One thing that is wrong in a staged copy, and what is said of it.
    struct Damage: Sendable {
        var script: String
        /// Name, recorded, found; `*` stands for anything.
        var told: [String]
    }

    private static let acl = """
        def acl(*entries): return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
        none = 0xffffffff

        """
    private static let recordedList =
        "user::rw-,user:12345:rw-,group::r--,group:54321:r-x,mask::rw-,other::---"

    static let damages = [
        Damage(
            script: "os.setxattr('plain', 'user.comment', b'with\\0zerp')",
            told: ["plain attribute user.comment", "9 bytes (*)", "9 bytes (*)"]),
        Damage(
            script: "os.setxattr('large', 'user.more', b'x')", told: ["large attribute user.more", "none", "1 bytes"]),
        Damage(
            script: "os.removexattr('sticky', 'user.big')",
            told: ["sticky attribute user.big", "1000 bytes (*)", "none"]),
        Damage(
            script: acl
                + "os.setxattr('secret', 'system.posix_acl_access', acl((1, 6, none), (2, 6, 12346), (4, 4, none), "
                + "(8, 5, 54321), (16, 6, none), (32, 0, none)))",
            told: ["secret access ACL", recordedList, recordedList.replacingOccurrences(of: "12345", with: "12346")]),
        Damage(
            script: "os.removexattr('shared', 'system.posix_acl_default')",
            told: ["shared default ACL", recordedList, "none"]),
        Damage(
            script: acl
                + "os.setxattr('links', 'system.posix_acl_default', acl((1, 7, none), (4, 0, none), (32, 0, none)))",
            told: ["links default ACL", "none", "user::rwx,group::---,other::---"]),
        Damage(
            script: "os.removexattr('capable', 'security.capability')",
            told: ["capable attribute security.capability", "20 bytes (*)", "none"]),
        Damage(
            script: "os.removexattr('empty', 'trusted.note')",
            told: ["empty attribute trusted.note", "1 bytes (*)", "none"]),
        Damage(
            script: "s = os.lstat('outside'); os.unlink('outside'); os.symlink('/etc/passwd', 'outside')\n"
                + "os.utime('outside', ns=(0, s.st_mtime_ns), follow_symlinks=False)",
            told: ["outside link target", "'/etc'", "'/etc/passwd'"]),
        Damage(
            script: "s = os.lstat('null'); os.unlink('null'); os.mknod('null', s.st_mode, os.makedev(1, 5))\n"
                + "os.chmod('null', stat.S_IMODE(s.st_mode)); os.utime('null', ns=(0, s.st_mtime_ns))",
            told: ["null device number", "1:3", "1:5"]),
        // What the list itself tells.
        Damage(
            script: "os.utime('plain', ns=(0, 1700000000123456788))",
            told: ["plain modification time", "1700000000123456789", "1700000000123456788"]),
        Damage(script: "os.chmod('group', 0o0750)", told: ["group mode", "2750", "750"]),
        Damage(script: "os.lchown('dangling', 12345, 54322)", told: ["dangling owner", "12345:54321", "12345:54322"]),
    ]

    /// A staged copy of everything a file can have.
    private func staged(
        _ tree: TreeFixture, in folder: String? = nil
    ) async throws -> (FilesAdapter, SourceRestore, MemoryJournal, stage: String) {
        let adapter = try tree.adapter(["devices": ["store"]])
        let (_, stream, report) = try await tree.capture(adapter)
        let restore = try tree.restore(stream, report, rename: folder.map { $0 + "/root" })
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        return (adapter, restore, journal, (folder ?? tree.folder.path) + "/.root.salvor-r1")
    }

    private func expect(
        _ facts: [FactComparison], _ tree: TreeFixture, toTell told: [[String]],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = facts.filter { !$0.isEqual }.map {
            [$0.name, $0.recorded?.description ?? "", $0.found?.description ?? ""]
        }.sorted { $0[0] < $1[0] }
        let told = told.sorted { $0[0] < $1[0] }
        #expect(found.count == told.count, "\(found)", sourceLocation: sourceLocation)
        for (found, told) in zip(found, told) {
            let expected = ["\(tree.root)/\(told[0])"] + told.dropFirst()
            for (found, expected) in zip(found, expected) {
                let parts = expected.components(separatedBy: "*")
                let isAsTold =
                    parts.count == 1 ? found == expected : found.hasPrefix(parts[0]) && found.hasSuffix(parts[1])
                #expect(isAsTold, "\(found) instead of \(expected)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test(
        "everything that is wrong is told by file and attribute, and nothing else is", .enabled(if: TreeFixture.isRoot))
    func damages() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (adapter, restore, journal, stage) = try await staged(tree)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        let script = Self.damages.map(\.script).joined(separator: "\n")
        try tree.python("top = os.lstat('.').st_mtime_ns\n" + script + "\nos.utime('.', ns=(0, top))", in: stage)
        expect(try await adapter.verify(restore, journal: journal), tree, toTell: Self.damages.map(\.told))
        #expect(!journal.notes.contains { $0.hasPrefix("not as captured") })
    }

    @Test("an incremental is compared with its own attributes and those that only the base tells")
    func incremental() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let adapter = try tree.adapter(["devices": ["store"]])
        let (base, _, _) = try await tree.capture(adapter)
        try tree.python("os.setxattr('large', 'user.new', b'n'); os.removexattr('plain', 'user.comment')")
        let (_, stream, report) = try await tree.capture(adapter, base: base)
        let restore = try tree.restore(stream, report)
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try tree.python(
            "os.setxattr('plain', 'user.comment', b'back'); os.removexattr('large', 'user.new'); "
                + "os.removexattr('sticky', 'user.big')", in: tree.folder(".root.salvor-r1"))
        expect(
            try await adapter.verify(restore, journal: journal), tree,
            toTell: [
                ["large attribute user.new", "1 bytes (*)", "none"],
                ["plain attribute user.comment", "none", "4 bytes"],
                ["sticky attribute user.big", "1000 bytes (*)", "none"],
            ])
    }

    @Test("of chosen files theirs are compared")
    func chosen() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let adapter = try tree.adapter()
        let (_, stream, report) = try await tree.capture(adapter)
        let restore = try tree.restore(stream, report, include: ["/**/plain", "/**/shared"])
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try tree.python("os.removexattr('plain', 'user.comment')", in: tree.folder(".root.salvor-r1"))
        expect(
            try await adapter.verify(restore, journal: journal), tree,
            toTell: [["plain attribute user.comment", "9 bytes (*)", "none"]])
    }

    @Test(
        "what a file system cannot hold is told, file by file, and is no difference", .enabled(if: TreeFixture.isRoot))
    func notHeld() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let disk = try SmallDisk.withoutAttributes(at: "bare", in: tree.folder)
        let (adapter, restore, journal, stage) = try await staged(tree, in: disk.path)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        let told = journal.notes.filter { $0.hasPrefix("not as captured: ") }
        for (what, name) in [
            ("attribute user.comment", "plain"), ("attribute user.big", "sticky"), ("access ACL", "secret"),
            ("default ACL", "shared"), ("attribute security.capability", "capable"),
            ("attribute trusted.note", "empty"),
        ] {
            let words = "not as captured: the file system cannot hold the \(what) of '\(tree.root)/\(name)'"
            #expect(told.contains(words), "\(told)")
        }
        #expect(told.count == 6, "\(told)")
        // All else still counts.
        try tree.python("os.chmod('plain', 0o600)", in: stage)
        expect(
            try await adapter.verify(restore, journal: journal), tree, toTell: [["plain mode", "644", "600"]])
    }

    @Test("a default ACL of the folder above is not passed on to what is restored in it")
    func inherited() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        try tree.python(
            Self.acl
                + "os.setxattr('.', 'system.posix_acl_default', "
                + "acl((1, 7, none), (2, 7, 4711), (4, 5, none), (16, 7, none), (32, 5, none)))",
            in: tree.folder.path)
        let (adapter, restore, journal, stage) = try await staged(tree)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try TreeFixture.expectEqual(tree.root, stage)
        // Nor by '--to-directory', which makes the folders above by itself.
        let (_, stream, _) = try await tree.capture(adapter)
        let (copy, _) = try await tree.extracted(stream)
        try TreeFixture.expectEqual(tree.root, copy)
        let above = URL(fileURLWithPath: copy).deletingLastPathComponent().path
        #expect(try TreeFixture.describe(above).first?.hasSuffix(" []") == true)
    }

    @Test("a note of attributes comes back as it was, and one that is cut anywhere is refused")
    func note() async throws {
        let tree = try TreeFixture()
        try tree.fillWithEverything()
        let (_, restore, _, _) = try await staged(tree)
        let path = MemberAttributes.path(in: restore.place)
        let noted = try MemberAttributes(path: path)
        #expect(noted.own.count >= 10 && noted.base.isEmpty)
        let copy = tree.folder("copy/attributes")
        try noted.write(to: copy)
        #expect(try MemberAttributes(path: copy) == noted)
        let whole = try Data(contentsOf: URL(fileURLWithPath: copy))
        for length in stride(from: 0, to: whole.count, by: 7) {
            try whole.prefix(length).write(to: URL(fileURLWithPath: copy))
            #expect { try MemberAttributes(path: copy) } throws: { ($0 as? Failure)?.code == .stateDamaged }
        }
    }
}
