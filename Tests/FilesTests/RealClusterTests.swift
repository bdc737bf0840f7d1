// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Files

@Suite(
    "Files in pods of a real cluster", .serialized,
    .enabled(if: RealCluster.isHere, "needs a cluster, which scripts/test-kubernetes makes"))
struct RealClusterTests {
    private func adapter(_ transport: any Transport, _ paths: [String]) throws -> FarFilesAdapter {
        FarFilesAdapter(try TreeFixture.settings(["paths": paths]), transport)
    }

    @Test("a directory, a volume and a file of a pod come back, are put back, and the way back leads back")
    func roundTrip() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod(
            "app", more: ("volumes: [{name: data, emptyDir: {}}]", "volumeMounts: [{name: data, mountPath: /srv/data}]")
        )
        try await pod.shell(
            """
            mkdir -p /etc/app/sub /srv/data/deep; echo one >/etc/app/a; echo two >/etc/app/sub/b; chmod 640 /etc/app/a
            chown 65534:65534 /etc/app/a; ln -s a /etc/app/link; echo data >/srv/data/deep/d; echo top >"/srv/data/.t o p"
            chmod 750 /srv/data; echo single >/etc/single.conf; mkfifo /etc/app/pipe
            head -c 20000000 /dev/urandom >/srv/data/large
            """)
        // A mount point is exchanged file by file: its own time changes, and what was there lies in it until it is settled.
        let describe = """
            cd /; find etc/app etc/single.conf srv/data -name '.salvor-before-*' -prune -o -type d -path srv/data -o \\
                -printf '%p %y %m %U %G %T@ %l\\n' | sort; stat -c '%n %a %U %G' srv/data
            find etc/app etc/single.conf srv/data -name '.salvor-before-*' -prune -o -type f -exec sha256sum {} + | sort
            """
        let before = try await pod.shell(describe)
        let adapter = try adapter(cluster.transport(.name("app")), ["/etc/app", "/etc/single.conf", "/srv/data"])
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        // What changed within the last clock ticks is stored again.
        try await Task.sleep(for: .milliseconds(60))
        let captured = try await CapturedSource(adapter)
        let quiet = try await CapturedSource(adapter, base: captured.capture)
        #expect(quiet.capture.stream("tree")?.members.count == 0, "an unchanged night stores nothing")

        try await pod.shell(
            """
            echo wrong >/etc/app/a; rm -r /etc/app/sub; echo new >/etc/app/new; rm /srv/data/large /etc/single.conf
            echo wrong >/srv/data/deep/d
            """)
        let wrong = try await pod.shell(describe + "; true")
        let restore = captured.restore()
        #expect(try await adapter.planRestore(restore).blockers == [])
        let journal = MemoryJournal()
        try await adapter.restoreWhole(restore, journal: journal)
        expectLines(try await pod.shell(describe), before)
        try await adapter.rollBack(restore.place, journal: journal)
        expectLines(try await pod.shell(describe + "; true"), wrong)
        #expect(try await pod.shell("find / -xdev -name '*salvor*' -not -path '/proc/*'") == "")
    }

    @Test("chosen files go into what lives in a pod, one by one, and out again")
    func chosen() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod(
            "app", more: ("volumes: [{name: data, emptyDir: {}}]", "volumeMounts: [{name: data, mountPath: /srv/data}]")
        )
        try await pod.shell(
            """
            mkdir -p /etc/app/sub /srv/data/deep; echo one >/etc/app/a; echo two >/etc/app/sub/b; echo d >/srv/data/deep/d
            chmod 640 /etc/app/a; chown 65534:65534 /etc/app/a; echo keep >/srv/data/keep
            """)
        let adapter = try adapter(cluster.transport(.name("app")), ["/etc/app", "/srv/data"])
        let captured = try await CapturedSource(adapter)
        try await pod.shell(
            "rm -r /etc/app/sub; for f in /etc/app/a /srv/data/keep /srv/data/deep/d; do echo live >$f; done")
        let describe = "cd /; find etc/app srv/data -printf '%p %y %m %U %G\\n' -type f -exec cat {} ';'"
        let live = try await pod.shell(describe)
        var restore = captured.restore()
        restore.include = ["a", "b", "d"]
        #expect(try await adapter.planRestore(restore).blockers == [])
        let journal = MemoryJournal()
        try await adapter.restoreWhole(restore, journal: journal)
        let look = "cd /; cat etc/app/a etc/app/sub/b srv/data/deep/d srv/data/keep; stat -c '%a %u' etc/app/a"
        #expect(try await pod.shell(look) == "one\ntwo\nd\nlive\n640 65534")
        try await adapter.rollBack(restore.place, journal: journal)
        expectLines(try await pod.shell(describe), live)
        #expect(
            try await pod.shell("find / -xdev -name '*salvor*' -not -path '/proc/*'; find /srv -name '*salvor*'") == "")
    }

    @Test("a pod that dies while its files are read gives no capture")
    func death() async throws {
        let cluster = try await RealCluster()
        let pod = try await cluster.pod("mortal")
        try await pod.shell("mkdir /srv/app; head -c 300000000 /dev/zero >/srv/app/large")
        let adapter = try adapter(cluster.transport(.name("mortal")), ["/srv/app"])
        let reading = Task { try await CapturedSource(adapter) }
        // Until the far tar runs.
        while try await pod.shell("cat /proc/[0-9]*/comm | grep -cx tar || true") == "0" { await Task.yield() }
        try await cluster.kubectl("delete", "pod", "mortal", "--wait=false", "--grace-period=0", "--force")
        let failure = await thrownFailure { try await reading.value }
        #expect(failure?.code == .sourceUnreachable, "\(String(describing: failure))")
    }

    private func expectLines(_ found: String, _ expected: String) {
        let difference = found.split(separator: "\n").difference(from: expected.split(separator: "\n"))
        #expect(difference.isEmpty, "\(difference)")
    }
}
