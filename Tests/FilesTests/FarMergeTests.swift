// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@testable import Files

@Suite("Chosen files over transports", .serialized)
struct FarMergeTests: FarTesting {
    /// Puts the times of directories aside: going in and out of one changes its own.
    private func described(_ path: String) throws -> [String] {
        try TreeFixture.describe(path).map { line in
            // Kind and mode follow the name, then owner and time.
            guard let match = line.firstMatch(of: /^(.* 4\d{4} \d+:\d+) -?\d+ (.*)$/) else { return line }
            return "\(match.1) \(match.2)"
        }
    }

    private func text(_ tree: TreeFixture, _ name: String) -> String? {
        FileManager.default.contents(atPath: "\(tree.root)/\(name)").map { String(decoding: $0, as: UTF8.self) }
    }

    private func beside(_ tree: TreeFixture) throws -> [String] { try tree.beside() }

    @Test("over ssh: chosen files go in as they do on this host, whatever they are called, and come out again")
    func roundTrip() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try TreeFixture()
        try fixture.fillWithEverything()
        let far = try adapter(server.transport(), [fixture.root])
        let (capture, stream, report) = try await captured(far)
        // Everything but what is in some folders and of some names.
        let include = [
            "/**/plain", "/**/run", "/**/secret", "/**/new*", "/**/bytes*", "/**/back*", "/**/ ", "/**/-rf",
            "/**/umlaut*", "/**/links", "/**/dangling", "/**/outside", "/**/fifo", "/**/shared", "/**/sparse",
            "/**/partpart*",
        ]
        try fixture.python(
            """
            os.unlink('plain'); open('plain', 'w').write('live'); open('since', 'w').write('since')
            os.unlink('secret'); os.symlink('/etc/passwd', 'secret'); os.unlink('links/b'); os.unlink(b'bytes\\xff\\xfe')
            import shutil; shutil.rmtree('part' * 10); os.rmdir('shared'); os.unlink('outside'); os.unlink('fifo')
            open(b'new\\nline', 'w').write('live'); open('links/new', 'w').write('new'); open(' ', 'w').write('live')
            """)
        let live = try described(fixture.root)

        // What a restore on this host makes of the same.
        let near = try fixture.adapter()
        let restore = try restore(capture, report, include: include, try TemporaryDirectory("scratch"))
        let nearJournal = MemoryJournal()
        try await near.stage(restore, journal: nearJournal)
        try await near.promote(restore, journal: nearJournal)
        let wanted = try described(fixture.root)
        try await near.rollBack(restore.place, journal: nearJournal)
        #expect(try described(fixture.root) == live && wanted != live)

        let plan = try await far.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["chosen files in \(fixture.root)"])
        #expect(try beside(fixture) == [], "planning makes nothing")
        let journal = MemoryJournal()
        try await far.stage(restore, journal: journal)
        #expect(try described(fixture.root) == live, "staging touches nothing")
        #expect(try await far.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        for _ in 0..<2 { try await far.promote(restore, journal: journal) }
        let found = try described(fixture.root)
        #expect(found == wanted, "\(found.difference(from: wanted))")
        #expect(text(fixture, "since") == "since")
        for _ in 0..<2 { try await far.rollBack(restore.place, journal: journal) }
        let back = try described(fixture.root)
        #expect(back == live, "\(back.difference(from: live))")
        #expect(try beside(fixture) == [])

        try await far.stage(restore, journal: journal)
        try await far.promote(restore, journal: journal)
        try await far.settle(restore.place, journal: journal)
        #expect(try described(fixture.root) == wanted)
        #expect(try beside(fixture) == [])
        withExtendedLifetime(stream) {}
    }

    /// Old and new content, a folder that is gone, and one with something new in it.
    private func scene(_ transport: any Transport) async throws -> (TreeFixture, FarFilesAdapter, SourceRestore) {
        let tree = try TreeFixture()
        for name in ["a", "sub/b", "sub/fresh", "gone/c", "gone/deep/d", "left"] { try tree.write(name, "captured") }
        let adapter = try adapter(transport, [tree.root])
        let (capture, _, report) = try await captured(adapter)
        for name in ["a", "sub/b", "sub/new", "left"] { try tree.write(name, "live") }
        try tree.remove("gone")
        try tree.remove("sub/fresh")
        let restore = try restore(
            capture, report, include: ["a", "b", "c", "d", "fresh"], try TemporaryDirectory("scratch"))
        return (tree, adapter, restore)
    }

    private func expectLive(_ tree: TreeFixture, sourceLocation: SourceLocation = #_sourceLocation) throws {
        for name in ["a", "sub/b", "sub/new", "left"] {
            #expect(text(tree, name) == "live", "\(name)", sourceLocation: sourceLocation)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: tree.root).sorted()
        #expect(names == ["a", "left", "sub"], sourceLocation: sourceLocation)
        #expect(text(tree, "sub/fresh") == nil, sourceLocation: sourceLocation)
        #expect(try beside(tree) == [], "nothing is left beside", sourceLocation: sourceLocation)
    }

    private func expectPromoted(_ tree: TreeFixture, sourceLocation: SourceLocation = #_sourceLocation) {
        for name in ["a", "sub/b", "sub/fresh", "gone/c", "gone/deep/d"] {
            #expect(text(tree, name) == "captured", "\(name)", sourceLocation: sourceLocation)
        }
        for name in ["sub/new", "left"] {
            #expect(text(tree, name) == "live", "\(name)", sourceLocation: sourceLocation)
        }
    }

    /// A far side that dies at the n-th call of a program that changes something: before it, or after it.
    private final class Dying {
        let folder: TemporaryDirectory
        let transport: PathTransport

        init(_ transport: any Transport, after call: Int, afterwards: Bool) throws {
            folder = try TemporaryDirectory("dying")
            let count = folder("count")
            try folder.write("count", "")
            let die = "echo 'the far side died' >&2; kill -9 $(cat /proc/$PPID/stat | cut -d ' ' -f 4) $PPID; exit 1"
            for name in ["ln", "mv", "rm"] {
                let path = try folder.write(
                    "bin/\(name)",
                    """
                    #!/bin/sh
                    # The stage is made and removed by 'rm -rf', which is no step of a promotion.
                    [ "$1" != -rf ] || exec /bin/\(name) "$@"
                    printf x >>\(count); n=$(wc -c <\(count))
                    if [ "$n" -eq \(call) ]; then \(afterwards ? "/bin/\(name) \"$@\"; " : "")\(die); fi
                    exec /bin/\(name) "$@"

                    """)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
            }
            self.transport = PathTransport(inner: transport, folder: folder("bin"))
        }
    }

    @Test("a far side that dies at any step leaves every file whole, and both ways lead on", arguments: [false, true])
    func death(afterwards: Bool) async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("web-0")
        let transport = cluster.transport(KubernetesSettings(namespace: "prod", pod: .name("web-0")))
        var deaths = 0
        for call in 1...8 {
            let goesOn = (call % 2 == 0) != afterwards
            let (tree, adapter, restore) = try await scene(transport)
            let dying = try Dying(transport, after: call, afterwards: afterwards)
            let weak = FarFilesAdapter(adapter.settings, dying.transport)
            let journal = MemoryJournal()
            try await adapter.stage(restore, journal: journal)
            do { try await weak.promote(restore, journal: journal) } catch let failure as Failure {
                deaths += 1
                #expect(failure.code == .restoreFailed, "\(failure)")
            }
            for name in ["a", "sub/b"] { #expect(["live", "captured"].contains(text(tree, name)), "\(call): \(name)") }
            for name in ["sub/new", "left"] { #expect(text(tree, name) == "live", "\(call): \(name)") }
            #expect([nil, "captured"].contains(text(tree, "sub/fresh")))
            if goesOn {
                try await adapter.promote(restore, journal: journal)
                expectPromoted(tree)
            }
            // The way back is as mortal.
            let worse = try Dying(transport, after: call, afterwards: afterwards)
            do {
                try await FarFilesAdapter(adapter.settings, worse.transport).rollBack(restore.place, journal: journal)
            } catch let failure as Failure {
                deaths += 1
                #expect(failure.code == .restoreFailed, "\(failure)")
            }
            try await adapter.rollBack(restore.place, journal: journal)
            try expectLive(tree)
        }
        #expect(deaths >= 9, "\(deaths)")
    }

    @Test("what stands in the way is told by the plan, and refused before anything is touched")
    func conflicts() async throws {
        let server = try await ThrowawaySSH.start()
        let (tree, adapter, restore) = try await scene(server.transport())
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        try tree.python("os.unlink('a'); os.mkdir('a'); os.rename('sub', 'away'); os.symlink('away', 'sub')")
        try tree.write("gone", "a file now")
        let live = try TreeFixture.describe(tree.root)
        let blockers = try await adapter.planRestore(restore).blockers
        #expect(
            blockers == [
                "'\(tree.root)/a' is a directory now", "'\(tree.root)/gone' is no directory now",
                "a part of '\(tree.root)/gone/c' is a link, mounted, or no directory now",
                "a part of '\(tree.root)/gone/deep' is a link, mounted, or no directory now",
                "a part of '\(tree.root)/gone/deep/d' is a link, mounted, or no directory now",
                "'\(tree.root)/sub' is no directory now",
                "a part of '\(tree.root)/sub/b' is a link, mounted, or no directory now",
                "a part of '\(tree.root)/sub/fresh' is a link, mounted, or no directory now",
            ], "\(blockers)")
        let failure = try await #require(throws: Failure.self) {
            try await adapter.promote(restore, journal: journal)
        }
        #expect(failure.code == .restoreBlocked && failure.summary.contains("/a' is a directory now"), "\(failure)")
        #expect(try TreeFixture.describe(tree.root) == live)
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try TreeFixture.describe(tree.root) == live)
        #expect(try beside(tree) == [])
    }

    @Test("a stage that somebody exchanged is not promoted")
    func exchanged() async throws {
        let server = try await ThrowawaySSH.start()
        let (tree, adapter, restore) = try await scene(server.transport())
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        let stage = tree.folder(".root.salvor-k3f9")
        #expect(try FileManager.default.attributesOfItem(atPath: stage)[.posixPermissions] as? Int == 0o700)
        try tree.python("os.rename('tree', 'mine'); os.mkdir('tree'); open('tree/a', 'w').write('evil')", in: stage)
        let failure = try await #require(throws: Failure.self) {
            try await adapter.promote(restore, journal: journal)
        }
        #expect(failure.summary.hasSuffix("/tree' is not the staged copy"), "\(failure)")
        try tree.python("os.unlink('tree/a'); os.rmdir('tree'); os.rename('mine', 'tree')", in: stage)
        try await adapter.rollBack(restore.place, journal: journal)
        try expectLive(tree)
    }

    @Test("in a container: into a directory, into a mount point, and not into what is mounted in one")
    func container() async throws {
        let engine = try await ThrowawayEngine.start(.podman)
        let (volume, inner) = (try TemporaryDirectory("volume"), try TemporaryDirectory("inner"))
        try await engine.container(
            "app",
            options: ["--volume", "\(volume.path):/srv/data", "--volume", "\(inner.path):/etc/app/mounted"])
        let transport = engine.transport("app")
        func shell(_ script: String) async throws -> String {
            String(decoding: try await transport.output(of: Program("sh", ["-c", script])), as: UTF8.self)
        }
        _ = try await shell(
            """
            mkdir -p /etc/app/sub /srv/data/deep; echo one >/etc/app/a; echo two >/etc/app/sub/b; echo d >/srv/data/deep/d
            chmod 640 /etc/app/a; chown 65534:65534 /etc/app/a; echo keep >/srv/data/keep; echo keep >/etc/app/keep
            """)
        let adapter = try adapter(transport, ["/etc/app", "/srv/data"], ["one-file-system": ["false"]])
        _ = try await shell("echo inside >/etc/app/mounted/m")
        let (capture, _, report) = try await captured(adapter)
        _ = try await shell(
            "rm -r /etc/app/sub; for f in /etc/app/a /etc/app/keep /srv/data/keep /srv/data/deep/d; do echo live >$f; done"
        )
        let describe = """
            cd /; find etc/app srv/data ! -type d -printf '%p %y %m %U %G %T@ %l\\n' -exec cat {} ';' | sort
            find etc/app srv/data -type d -printf '%p %m %U %G\\n' | sort
            """
        let live = try await shell(describe)

        let restore = try restore(capture, report, include: ["a", "b", "d"], try TemporaryDirectory("scratch"))
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["chosen files in /etc/app", "chosen files in /srv/data"])
        let journal = MemoryJournal()
        try await adapter.stage(restore, journal: journal)
        #expect(try await adapter.verify(restore, journal: journal).filter { !$0.isEqual } == [])
        for _ in 0..<2 { try await adapter.promote(restore, journal: journal) }
        let look =
            "cd /; cat etc/app/a etc/app/sub/b srv/data/deep/d etc/app/keep srv/data/keep; stat -c '%a %u' etc/app/a"
        #expect(try await shell(look) == "one\ntwo\nd\nlive\nlive\n640 65534\n")
        for _ in 0..<2 { try await adapter.rollBack(restore.place, journal: journal) }
        #expect(try await shell(describe) == live)

        let mounted = try self.restore(capture, report, include: ["m"], try TemporaryDirectory("scratch"))
        #expect(
            try await adapter.planRestore(mounted).blockers == [
                "a part of '/etc/app/mounted/m' is a link, mounted, or no directory now"
            ])
        #expect(try await shell("find / -xdev -name '*salvor*' -not -path '/proc/*'; find /srv -name '*salvor*'") == "")
    }
}
