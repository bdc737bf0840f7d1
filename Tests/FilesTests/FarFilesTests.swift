// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Files

@Suite("Files over transports", .serialized)
struct FarFilesTests: FarTesting {
    @Test("over ssh: everything a file can have is captured as it is on this host, and comes back")
    func ssh() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try TreeFixture()
        try fixture.fillWithEverything()
        let adapter = try adapter(server.transport(), [fixture.root], ["devices": ["store"]])
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let (capture, stream, report) = try await captured(adapter)
        let (_, local, localReport) = try await fixture.capture(try fixture.adapter(["devices": ["store"]]))
        #expect(report.facts == localReport.facts)
        var (far, near): ([TreeMember], [TreeMember]) = ([], [])
        try stream.members.forEach { far.append($0) }
        try local.members.forEach { near.append($0) }
        #expect(far.map(\.displayPath) == near.map(\.displayPath))
        for (left, right) in zip(far, near) {
            #expect(
                left.kind == right.kind && left.mode == right.mode && left.userID == right.userID, "\(left.displayPath)"
            )
            #expect(left.size == right.size && left.modified == right.modified, "\(left.displayPath)")
            #expect(left.sha256 == right.sha256 && left.inode == right.inode, "\(left.displayPath)")
        }
        let (extracted, _) = try await fixture.extracted(stream)
        try TreeFixture.expectEqual(fixture.root, extracted)

        let before = try TreeFixture.describe(fixture.root)
        let scratch = try TemporaryDirectory("scratch")
        try fixture.write("plain", "changed")
        try fixture.remove("links")
        let restore = try restore(capture, report, scratch)
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["directory \(fixture.root)"])
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        for _ in 0..<2 { try await adapter.promote(restore, journal: journal) }
        #expect(try TreeFixture.describe(fixture.root) == before)
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try String(contentsOfFile: fixture.root + "/plain", encoding: .utf8) == "changed")
        let left = try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path)
        #expect(left.filter { !$0.hasPrefix("extracted-") } == ["root"])
    }

    @Test("over ssh: an unchanged night stores nothing, a changed one what changed, and both restore")
    func incremental() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try TreeFixture()
        try fixture.fillWithEverything()
        let adapter = try adapter(server.transport(), [fixture.root], ["devices": ["store"]])
        let (base, full, _) = try await captured(adapter)
        let (_, quiet, _) = try await captured(adapter, base: base)
        #expect(quiet.members.count == 0)
        #expect(quiet.deletions == [])

        try fixture.write("plain", "changed")
        try fixture.write("new/file", "new")
        try fixture.remove("secret")
        try fixture.remove("links/b")
        try fixture.python("os.link('large', 'links/again'); os.unlink('empty'); os.mkdir('empty')")
        let (capture, stream, report) = try await captured(adapter, base: base)
        #expect(stream.receipt.length < full.receipt.length)
        let (extracted, _) = try await fixture.extracted(stream)
        try TreeFixture.expectEqual(fixture.root, extracted)

        let before = try TreeFixture.describe(fixture.root)
        try FileManager.default.removeItem(atPath: fixture.root)
        let restore = try restore(capture, report, try TemporaryDirectory("scratch"))
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try await adapter.promote(restore, journal: journal)
        #expect(try TreeFixture.describe(fixture.root) == before)
        try await adapter.settle(restore.place, journal: journal)
    }

    @Test("over ssh: attributes that are wrong in a staged copy are told, and what cannot be held there is, too")
    func attributes() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try TreeFixture()
        try fixture.fillWithEverything()
        let far = try adapter(server.transport(), [fixture.root])
        let (capture, _, report) = try await captured(far)
        let restore = try restore(capture, report, try TemporaryDirectory("scratch"))
        let journal = MemoryJournal()
        try await far.stage(restore, journal: journal)
        #expect(try await far.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        try fixture.python(
            """
            top = os.lstat('.').st_mtime_ns
            os.setxattr('plain', 'user.comment', b'other'); os.removexattr('secret', 'system.posix_acl_access')
            os.removexattr('shared', 'system.posix_acl_default'); os.chmod('secret', 0o660)
            s = os.lstat('outside'); os.unlink('outside'); os.symlink('/etc/passwd', 'outside')
            os.utime('outside', ns=(0, s.st_mtime_ns), follow_symlinks=False); os.utime('.', ns=(0, top))
            """, in: fixture.folder(".root.salvor-k3f9"))
        let found = try await far.verify(restore, journal: journal).filter { !$0.isEqual }.map(\.name)
        #expect(
            found == [
                "\(fixture.root)/outside link target", "\(fixture.root)/plain attribute user.comment",
                "\(fixture.root)/secret access ACL", "\(fixture.root)/shared default ACL",
            ])
        try await far.abandon(restore.place, journal: journal)

        // Where the far file system has none of them.
        guard TreeFixture.isRoot else { return }
        let disk = try SmallDisk.withoutAttributes(at: "bare", in: fixture.folder)
        var elsewhere = restore
        elsewhere.rename = disk.path + "/root"
        let told = MemoryJournal()
        try await far.stage(elsewhere, journal: told)
        #expect(try await far.verify(elsewhere, journal: told).filter { !$0.isEqual } == [])
        for words in ["attribute user.comment of '\(fixture.root)/plain'", "access ACL of '\(fixture.root)/secret'"] {
            let note = "not as captured: the file system cannot hold the " + words
            #expect(told.notes.contains(note), "\(told.notes)")
        }
    }

    @Test("patterns count as on this host, and what may not be read is told")
    func patterns() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try TreeFixture()
        for name in ["a/keep.conf", "a/drop.tmp", "cache/x", "b/deep/in.conf", "b/deep/out.txt"] {
            try fixture.write(name, name)
        }
        for settings in [["exclude": ["*.tmp", "cache/"]], ["include": ["*.conf"]]] {
            let (_, stream, report) = try await captured(try adapter(server.transport(), [fixture.root], settings))
            let (_, local, localReport) = try await fixture.capture(try fixture.adapter(settings))
            var (far, near): ([String], [String]) = ([], [])
            try stream.members.forEach { far.append($0.displayPath) }
            try local.members.forEach { near.append($0.displayPath) }
            #expect(far == near)
            #expect(report.facts == localReport.facts)
        }
        let failure = try await #require(throws: Failure.self) {
            _ = try await captured(try adapter(server.transport(), [fixture.root, fixture.folder("nosuch")]))
        }
        #expect(failure.summary.hasSuffix("'\(fixture.folder("nosuch"))' does not exist"), "\(failure)")
    }

    @Test("a file that changes while it is read is noticed, or fails the source")
    func changing() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("web-0")
        let transport = cluster.transport(KubernetesSettings(namespace: "prod", pod: .name("web-0")))
        let fixture = try TreeFixture()
        try fixture.write("log", String(repeating: "x", count: 1000))
        // A `tar` that appends to the file while it reads it, as the far side's own programs would.
        let tar = try fixture.folder.write(
            "bin/tar",
            "#!/bin/sh\n[ \"$1\" = --create ] || exec /usr/bin/tar \"$@\"\n/usr/bin/tar \"$@\"\n"
                + "echo 'tar: \(fixture.root.dropFirst())/log: file changed as we read it' >&2\nexit 1\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tar)
        let far = PathTransport(inner: transport, folder: fixture.folder("bin"))
        let (_, _, report) = try await captured(try adapter(far, [fixture.root]))
        #expect(report.notices == ["'\(fixture.root)/log' changed while it was read"])
        let failure = try await #require(throws: Failure.self) {
            _ = try await captured(try adapter(far, [fixture.root], ["on-change": ["fail"]]))
        }
        #expect(failure.code == .sourceChanged)

        try fixture.folder.write(
            "bin/tar",
            "#!/bin/sh\n[ \"$1\" = --create ] || exec /usr/bin/tar \"$@\"\n/usr/bin/tar \"$@\"\n"
                + "echo 'tar: x: Read error at byte 0, while reading 512 bytes: Input/output error' >&2\nexit 2\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tar)
        let broken = try await #require(throws: Failure.self) {
            _ = try await captured(try adapter(far, [fixture.root]))
        }
        #expect(broken.summary.contains("Input/output error"), "\(broken)")
    }

    @Test("a stream that is lost half way is no capture", arguments: [200, 5000, 100_000])
    func lost(_ bytes: Int) async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("web-0")
        let transport = cluster.transport(KubernetesSettings(namespace: "prod", pod: .name("web-0")))
        let fixture = try TreeFixture()
        for number in 0..<200 { try fixture.write("f\(number)", String(repeating: "\(number)", count: 1000)) }
        try cluster.misbehave("lose:\(bytes)")
        await #expect(throws: Failure.self) {
            _ = try await captured(try adapter(transport, [fixture.root]))
        }
    }

    @Test("in a container: a directory, a mount point and a file come back, and are put back")
    func container() async throws {
        let engine = try await ThrowawayEngine.start(.docker)
        let volume = try TemporaryDirectory("volume")
        try await engine.container("app", options: ["--volume", "\(volume.path):/srv/data"])
        let transport = engine.transport("app")
        func shell(_ script: String) async throws -> String {
            String(decoding: try await transport.output(of: Program("sh", ["-c", script])), as: UTF8.self)
        }
        _ = try await shell(
            """
            mkdir -p /etc/app/sub /srv/data/deep; echo one >/etc/app/a; echo two >/etc/app/sub/b; chmod 640 /etc/app/a
            chown 65534:65534 /etc/app/a; ln -s a /etc/app/link; echo data >/srv/data/deep/d; echo top >"/srv/data/.t o p"
            chmod 750 /srv/data; echo single >/etc/single.conf; mkfifo /etc/app/pipe
            """)
        let describe = """
            cd /; find etc/app etc/single.conf srv/data -printf '%p %y %m %U %G %T@ %l\\n' | sort
            find etc/app etc/single.conf srv/data -type f -exec sha256sum {} + | sort
            """
        let before = try await shell(describe)
        let adapter = try adapter(transport, ["/etc/app", "/etc/single.conf", "/srv/data"])
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let (capture, _, report) = try await captured(adapter)
        _ = try await shell(
            "rm -r /etc/app/sub /srv/data/deep; echo worse >/etc/single.conf; echo new >/srv/data/new; chmod 700 /srv/data"
        )
        let damaged = try await shell(describe)

        let restore = try restore(capture, report, try TemporaryDirectory("scratch"))
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.warnings.contains { $0.contains("'/srv/data' is a mount point") })
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        for _ in 0..<2 { try await adapter.promote(restore, journal: journal) }
        let restored = try await shell("mv /srv/data/.salvor-before-k3f9 /tmp/kept; " + describe)
        #expect(Self.lines(restored) == Self.lines(before))
        _ = try await shell("mv /tmp/kept /srv/data/.salvor-before-k3f9")
        for _ in 0..<2 { try await adapter.rollBack(restore.place, journal: journal) }
        #expect(Self.lines(try await shell(describe)) == Self.lines(damaged))
    }

    /// Lines, without the time of the mount point, whose folder has had guests.
    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n").map {
            $0.hasPrefix("srv/data d ") ? $0.split(separator: " ").prefix(5).joined() : String($0)
        }
    }
}
