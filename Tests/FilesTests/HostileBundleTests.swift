// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

/// Bundles by somebody who holds the keys and means harm: archive and member list agree, and both want out.
@Suite("Bundles that want to do harm")
struct HostileBundleTests {
    struct Attack: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Python that calls `add`; `ROOT` is the tree's name in the archive, `OUT` a folder outside.
        var script: String

        init(_ name: String, _ script: String) { (testDescription, self.script) = (name, script) }
    }

    static let attacks = [
        Attack("a name with ..", #"add(ROOT + "/../out/evil", b"f", b"x")"#),
        Attack("a name that begins with ..", #"add("../" * 12 + OUT[1:] + "/evil", b"f", b"x")"#),
        Attack("an absolute name", #"add(OUT + "/evil", b"f", b"x")"#),
        Attack("a file through a link", #"add(ROOT + "/l", b"l", link=OUT); add(ROOT + "/l/evil", b"f", b"x")"#),
        Attack("a file over a link", #"add(ROOT + "/l", b"l", link=OUT + "/victim"); add(ROOT + "/l", b"f", b"x")"#),
        Attack("a hard link to something outside", #"add(ROOT + "/h", b"h", link=OUT[1:] + "/victim")"#),
        Attack("a hard link with ..", #"add(ROOT + "/h", b"h", link=ROOT + "/../out/victim")"#),
        Attack(
            "a hard link through a link",
            #"add(ROOT + "/l", b"l", link=OUT); add(ROOT + "/h", b"h", link=ROOT + "/l/victim")"#),
        Attack("a size of an exbibyte", #"add(ROOT + "/huge", b"f", b"x", size=1 << 60)"#),
        Attack("more data than listed", #"add(ROOT + "/more", b"f", b"x" * 100000, listed=10)"#),
        Attack("less data than listed", #"add(ROOT + "/less", b"f", b"x", listed=100000)"#),
        Attack("a device that is listed as a file", #"add(ROOT + "/null", b"c", claims=b"f")"#),
        Attack("a set-user-id bit that is not listed", #"add(ROOT + "/sh", b"f", b"x", mode=0o4755, claimed=0o755)"#),
    ]

    /// The archive with its list, as the attacker would sign it.
    private func stream(_ tree: TreeFixture, _ attack: Attack) throws -> MemoryStream {
        let (archive, list) = (tree.folder("evil.tar"), tree.folder("evil.list"))
        try ShortCommand.run(
            "python3",
            [
                "-c",
                """
                import io, sys, tarfile, hashlib
                ROOT, OUT = sys.argv[1][1:], sys.argv[2]
                out = open(sys.argv[3], "wb"); listing = open(sys.argv[4], "wb")
                types = {b"f": tarfile.REGTYPE, b"d": tarfile.DIRTYPE, b"l": tarfile.SYMTYPE, b"h": tarfile.LNKTYPE, b"c": tarfile.CHRTYPE}
                def add(name, kind, data=b"", link="", size=None, listed=None, claims=None, mode=0o644, claimed=None):
                    i = tarfile.TarInfo(name); i.type = types[kind]; i.linkname = link; i.mode = mode
                    i.size = len(data) if size is None else size
                    begin = out.tell()
                    out.write(i.tobuf(tarfile.PAX_FORMAT)); out.write(data); out.write(bytes(-len(data) % 512))
                    length = out.tell() - begin
                    size = i.size if listed is None else listed
                    if kind != b"f" and claims is None: size = 0
                    digest = hashlib.sha256(data).hexdigest() if (claims or kind) == b"f" else "-"
                    fields = [oct(mode if claimed is None else claimed)[2:], "0", "0", str(size), "0", "0", str(begin + 1), str(begin), str(length), digest, name]
                    listing.write((claims or kind) + ("\\t" + "\\t".join(fields) + "\\n").encode())
                add(ROOT, b"d", mode=0o755); add(ROOT + "/good", b"f", b"fine")
                \(attack.script)
                out.write(bytes(1024)); out.close(); listing.close()
                """, tree.root, tree.folder("out"), archive, list,
            ])
        let text = Array(try Data(contentsOf: URL(fileURLWithPath: list)))
        return MemoryStream(
            name: "tree", kind: .tar, fileName: "tree.tar",
            bytes: Array(try Data(contentsOf: URL(fileURLWithPath: archive))),
            members: MemberTable(text: text, count: text.count { $0 == 10 }))
    }

    @Test("nothing outside is made, changed or linked, the live tree stays, and the stage goes", arguments: attacks)
    func attack(_ attack: Attack) async throws {
        let tree = try TreeFixture()
        try tree.folder.write("out/victim", "untouched")
        try tree.write("live", "live")
        let adapter = try tree.adapter()
        let (_, _, report) = try await tree.capture(adapter)
        let hostile = try stream(tree, attack)
        let restore = try tree.restore(hostile, report)
        let journal = MemoryJournal()
        await #expect(throws: Failure.self) { try await adapter.stage(restore, journal: journal) }
        try await adapter.abandon(restore, journal: journal)
        #expect(try FileManager.default.contentsOfDirectory(atPath: tree.root) == ["live"])
        #expect(FileManager.default.contents(atPath: tree.root + "/live") == Data("live".utf8))
        #expect(try tree.beside() == [])
        await #expect(throws: Failure.self) {
            _ = try await TreeRestore.extract(stream: hostile, into: tree.folder("to-directory"))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: tree.folder("out")) == ["victim"])
        #expect(FileManager.default.contents(atPath: tree.folder("out/victim")) == Data("untouched".utf8))
        let victim = try FileManager.default.attributesOfItem(atPath: tree.folder("out/victim"))
        #expect(victim[.referenceCount] as? Int == 1, "nothing outside got a second name")
        #expect(!FileManager.default.fileExists(atPath: tree.folder("evil")))
    }

    @Test("without an attack the same archive is restored")
    func harmless() async throws {
        let tree = try TreeFixture()
        try tree.folder.write("out/victim", "untouched")
        let stream = try stream(tree, Attack("none", #"add(ROOT + "/l", b"l", link=OUT + "/victim")"#))
        let (copy, _) = try await tree.extracted(stream)
        #expect(try String(contentsOfFile: copy + "/good", encoding: .utf8) == "fine")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: copy + "/l") == tree.folder("out/victim"))
    }
}
