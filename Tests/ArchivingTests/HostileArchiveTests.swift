// SPDX-License-Identifier: Apache-2.0
import Archiving
import FileSystem
import Foundation
import TestSupport
import Testing

@Suite("Archives that want to do harm")
struct HostileArchiveTests {
    /// A script, and what the refusal says.
    struct Attack: Sendable, CustomTestStringConvertible {
        var name: String
        var script: String
        var reason: String
        var testDescription: String { name }
    }

    static let attacks = [
        Attack(name: "parent parts", script: #"add("a/../../evil", data=b"x")"#, reason: "leads out"),
        Attack(name: "parent first", script: #"add("../evil", data=b"x")"#, reason: "leads out"),
        Attack(name: "absolute", script: #"add("/tmp/salvor-evil", data=b"x")"#, reason: "absolute"),
        Attack(
            name: "symlink then write", script: #"add("l", tarfile.SYMTYPE, link="OUT"); add("l/evil", data=b"x")"#,
            reason: "a link or no directory"),
        Attack(
            name: "symlink then write through",
            script: #"add("evil", tarfile.SYMTYPE, link="OUT/evil"); add("evil", data=b"x")"#,
            reason: "taken already"),
        Attack(
            name: "symlink then directory",
            script: #"add("l", tarfile.SYMTYPE, link="OUT"); add("l", tarfile.DIRTYPE)"#,
            reason: "taken already"),
        Attack(
            name: "hard link outside", script: #"add("l", tarfile.LNKTYPE, link="../out/victim")"#, reason: "leads out"),
        Attack(
            name: "hard link absolute", script: #"add("l", tarfile.LNKTYPE, link="OUT/victim")"#, reason: "absolute"),
        Attack(
            name: "hard link through a symlink",
            script: #"add("s", tarfile.SYMTYPE, link="OUT"); add("l", tarfile.LNKTYPE, link="s/victim")"#,
            reason: "a link or no directory"),
        Attack(
            name: "hard link to a symlink",
            script: #"add("s", tarfile.SYMTYPE, link="OUT/victim"); add("l", tarfile.LNKTYPE, link="s")"#,
            reason: "no file of the tree"),
        Attack(name: "device", script: #"add("null", tarfile.CHRTYPE)"#, reason: "devices"),
        Attack(name: "twice", script: #"add("a", data=b"1"); add("a", data=b"2")"#, reason: "taken already"),
        Attack(
            name: "file as directory", script: #"add("a", data=b"1"); add("a/b", data=b"2")"#, reason: "no directory"),
    ]

    @Test("A member that leads out of the tree is refused, reported and fails the extraction", arguments: attacks)
    func attack(_ attack: Attack) throws {
        let folder = try TemporaryDirectory("hostile")
        try folder.write("out/victim", "untouched")
        try folder.write("in/.keep", "")
        let script = attack.script.split(separator: "OUT", omittingEmptySubsequences: false).joined(
            separator: folder("out"))
        let bytes = try pythonTar(folder, #"add("good", data=b"fine")"# + "\n" + script)
        do {
            try extract(bytes, into: folder("in"))
            Issue.record("the archive was extracted")
        } catch ArchiveError.refused(let members) {
            #expect(members.count == 1)
            #expect(members.first?.reason.contains(attack.reason) == true, "\(members)")
        }
        #expect(content(folder("in/good")) == "fine")
        #expect(content(folder("out/victim")) == "untouched")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("out")) == ["victim"])
        #expect(!FileManager.default.fileExists(atPath: "/tmp/salvor-evil"))
        #expect(!FileManager.default.fileExists(atPath: folder("evil")))
        let listed = try FileManager.default.attributesOfItem(atPath: folder("out/victim"))
        #expect(listed[.referenceCount] as? Int == 1, "nothing outside got a second name")
    }

    @Test("What is in the tree already is not written to")
    func existing() throws {
        let folder = try TemporaryDirectory("hostile")
        try folder.write("in/a", "mine")
        let bytes = try pythonTar(folder, #"add("a", data=b"theirs")"#)
        #expect(throws: ArchiveError.self) { try extract(bytes, into: folder("in")) }
        #expect(content(folder("in/a")) == "mine")
    }

    @Test("Refusals are only reported when the rules say so")
    func tolerated() throws {
        let folder = try TemporaryDirectory("hostile")
        try folder.write("in/.keep", "")
        let bytes = try pythonTar(folder, #"add("../evil", data=b"x"); add("b", data=b"y")"#)
        let report = try extract(bytes, into: folder("in"), rules: ExtractionRules(failsOnRefusal: false))
        #expect(report.refused.map(\.path) == [Array("../evil".utf8)])
        #expect(content(folder("in/b")) == "y")
    }

    @Test("Without their owner, files lose the set-user-id bit")
    func setID() throws {
        let folder = try TemporaryDirectory("hostile")
        try folder.write("in/.keep", "")
        let bytes = try pythonTar(
            folder,
            """
            i = tarfile.TarInfo("sh"); i.mode = 0o4755; i.uid = 12345; i.gid = 12345
            t.addfile(i)
            """)
        _ = try extract(bytes, into: folder("in"), rules: ExtractionRules(appliesOwners: false))
        let status = try #require(try FileStatus.find(Array(folder("in/sh").utf8)))
        #expect(status.mode == 0o755)
    }

    @Test("Extracted trees of other programs keep their names and contents")
    func foreign() throws {
        let folder = try TemporaryDirectory("foreign")
        try folder.write("from/e\u{301}/deep/file", "content")
        try folder.write("in/.keep", "")
        try ShortCommand.run("tar", ["-C", folder("from"), "-cf", folder("gnu.tar"), "."])
        let bytes = try Array(Data(contentsOf: URL(fileURLWithPath: folder("gnu.tar"))))
        do { try extract(bytes, into: folder("in")) } catch ArchiveError.refused(let members) {
            // "." itself is nothing to be made.
            #expect(members.map(\.path) == [Array(".".utf8)])
        }
        #expect(content(folder("in/e\u{301}/deep/file")) == "content")
    }
}
