// SPDX-License-Identifier: Apache-2.0
import Domain
import Etcd
import Foundation
import TestSupport
import Testing
import Transports

/// A member with keys, and its adapter.
private struct Fixture {
    let etcd: ThrowawayEtcd
    let tools: TemporaryDirectory
    let temporary: TemporaryDirectory
    let notes = MemoryFreezeNotes()

    init(_ etcd: ThrowawayEtcd) throws {
        self.etcd = etcd
        tools = try TemporaryDirectory("tools")
        temporary = try TemporaryDirectory("snapshots")
        let words = (["/usr/bin/etcd"] + etcd.arguments).map { "'\($0)'" }.joined(separator: " ")
        try tools.write(
            "start", "#!/bin/sh\nsetsid \(words) >\(tools("log")) 2>&1 </dev/null &\n")
        // Ends whichever run of the member is there, its own or the fixture's.
        try tools.write(
            "stop",
            """
            #!/bin/sh
            for p in /proc/[0-9]*; do
                [ "$(cat "$p/comm" 2>/dev/null)" = etcd ] || continue
                if grep -qzsx -e '--data-dir=\(etcd.data)' "$p/cmdline"; then kill "${p#/proc/}"; fi
            done
            exit 0

            """)
        for name in ["start", "stop"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tools(name))
        }
    }

    func adapter(
        restore: [(String, ConfigNode)] = [], user: (String, String)? = nil, tls: ConfigNode? = nil,
        programs: String? = nil, transport: any Transport = LocalTransport()
    ) throws -> any SourceAdapter {
        let mark = AdapterSettings.mark
        var connection: [(String, ConfigNode)] = [("endpoint", AdapterSettings.text(etcd.endpoint))]
        if let user {
            connection += [("user", AdapterSettings.text(user.0)), ("password", AdapterSettings.text(user.1))]
        }
        if let tls { connection.append(("tls", tls)) }
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("connection", mark, .mapping(connection.map { ($0.0, mark, $0.1) }, mark)),
            ("temporary-directory", mark, AdapterSettings.text(temporary.path)),
            ("restore", mark, .mapping(restore.map { ($0.0, mark, $0.1) }, mark)),
        ]
        if let programs { pairs.append(("programs", mark, AdapterSettings.text(programs))) }
        return try EtcdFactory().make(
            AdapterSettings.environment("etcd", .mapping(pairs, mark), transport: transport, freezeNotes: notes))
    }

    /// With the folder, and programs that stop and start the member.
    func whole() throws -> any SourceAdapter {
        try adapter(restore: [
            ("data-directory", AdapterSettings.text(etcd.data)), ("stop", AdapterSettings.list([tools("stop")])),
            ("start", AdapterSettings.list([tools("start")])),
        ])
    }

    func fill(_ count: Int = 200) async throws {
        for index in 0..<count / 20 {
            let transaction = "\n" + (0..<20).map { "put key\(index * 20 + $0) value\(index)\n" }.joined() + "\n\n"
            let program = Program(
                "etcdctl", ["txn"], environment: ["ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": etcd.endpoint])
            _ = try await LocalTransport().output(of: program, input: Array(transaction.utf8))
        }
        try await etcd.ctl(["put", "key1", "changed"])
        try await etcd.ctl(["del", "key2"])
    }

    func keys() async throws -> String { try await etcd.ctl(["get", "", "--from-key", "--write-out=simple"]) }
    func left() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: temporary.path) }
}

private func withEtcd<Result: Sendable>(_ body: @Sendable (Fixture) async throws -> Result) async throws -> Result {
    let etcd = try await ThrowawayEtcd()
    let fixture = try Fixture(etcd)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
    _ = try? await LocalTransport().outputAndExit(of: Program(fixture.tools("stop"), []))
    try await etcd.stop()
    return try result.get()
}

@Suite("etcd: a member's snapshot there and back")
struct EtcdTests {
    @Test("keys come back as they were, by an exchange of the data folder; and the old ones by a roll back")
    func roundTrip() async throws {
        try await withEtcd { fixture in
            try await fixture.fill()
            let adapter = try fixture.whole()
            let checks = await adapter.preflight()
            #expect(checks.allSatisfy { $0.state == .ok }, "\(checks)")
            let captured = try await CapturedSource(adapter)
            #expect(captured.report.facts["keys"] == .count(199))
            #expect(captured.report.position == "revision 13")
            #expect(captured.report.facts["hash of keys and values"] != nil)
            #expect(try fixture.left() == [])
            let original = try await fixture.keys()
            try await fixture.etcd.ctl(["del", "key5", "--from-key"])
            try await fixture.etcd.ctl(["put", "other", "1"])
            let broken = try await fixture.keys()
            let (journal, restore) = (MemoryJournal(), captured.restore())
            let plan = try await adapter.planRestore(restore)
            #expect(plan.blockers == [])
            try await adapter.stage(restore, journal: journal)
            #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
            #expect(try await fixture.keys() == broken)
            try await adapter.promote(restore, journal: journal)
            #expect(try await fixture.keys() == original)
            try await adapter.rollBack(restore.place, journal: journal)
            #expect(try await fixture.keys() == broken)
            let again = MemoryJournal()
            try await adapter.restoreWhole(restore, journal: again)
            try await adapter.settle(restore.place, journal: again)
            #expect(try await fixture.keys() == original)
            let names = try FileManager.default.contentsOfDirectory(atPath: fixture.etcd.folder)
            #expect(!names.contains { $0.contains("salvor") || $0.contains("before") }, "\(names)")
        }
    }

    @Test("without the data folder the copy is made and proven, and promotion says what to do by hand")
    func byHand() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            let adapter = try fixture.adapter()
            let captured = try await CapturedSource(adapter)
            let (journal, restore) = (MemoryJournal(), captured.restore())
            try await adapter.stage(restore, journal: journal)
            #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
            let refused = await thrownFailure { try await adapter.promote(restore, journal: journal) }
            #expect(refused?.code == .restoreBlocked)
            #expect(refused?.hint?.contains("\(captured.kept.path)/data") == true)
            try await adapter.abandon(restore.place, journal: journal)
            #expect(try FileManager.default.contentsOfDirectory(atPath: captured.kept.path) == [])
        }
    }

    @Test("a member that still runs is not pulled from under itself")
    func running() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            let adapter = try fixture.adapter(restore: [("data-directory", AdapterSettings.text(fixture.etcd.data))])
            let captured = try await CapturedSource(adapter)
            let (journal, restore) = (MemoryJournal(), captured.restore())
            try await adapter.stage(restore, journal: journal)
            let refused = await thrownFailure { try await adapter.promote(restore, journal: journal) }
            #expect(refused?.summary.contains("still runs") == true)
            try await fixture.etcd.stop()
            try await adapter.promote(restore, journal: journal)
            try await fixture.etcd.start()
            #expect(try await fixture.keys().contains("value0"))
        }
    }

    @Test("killed at any record of the journal, a promotion is finished or undone")
    func crash() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            let adapter = try fixture.whole()
            let captured = try await CapturedSource(adapter)
            let original = try await fixture.keys()
            try await fixture.etcd.ctl(["put", "other", "1"])
            let broken = try await fixture.keys()
            let restore = captured.restore()
            for limit in 0..<2 {
                let staged = MemoryJournal()
                try await adapter.stage(restore, journal: staged)
                let journal = MemoryJournal(await staged.recorded, failingAfter: limit)
                await #expect(throws: (any Error).self) { try await adapter.promote(restore, journal: journal) }
                let later = MemoryJournal(await journal.recorded)
                if limit == 1 {
                    try await adapter.promote(restore, journal: later)
                    #expect(try await fixture.keys() == original)
                }
                try await adapter.rollBack(restore.place, journal: later)
                if limit == 0 { _ = try await LocalTransport().output(of: Program(fixture.tools("start"), [])) }
                let deadline = ContinuousClock.now + .seconds(20)
                while (try? await fixture.keys()) != broken, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(try await fixture.keys() == broken, "at record \(limit)")
            }
        }
    }

    @Test("a snapshot that is cut or changed on its way is refused, at capture and at restore")
    func damaged() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            let adapter = try fixture.adapter()
            let captured = try await CapturedSource(adapter)
            let stream = try #require(captured.capture.stream("snapshot"))
            var flipped = stream.bytes
            flipped[9000] ^= 1
            for damage in [Array(stream.bytes.dropLast(32)), flipped] {
                captured.capture.replace(
                    MemoryStream(name: "snapshot", kind: .raw, fileName: "snapshot.db", bytes: damage))
                let failed = await thrownFailure {
                    try await adapter.stage(captured.restore(), journal: MemoryJournal())
                }
                #expect(failed?.summary.contains("not whole") == true, "\(String(describing: failed))")
            }
            // A program that says all is well and hands over half.
            let folder = try TemporaryDirectory("cat")
            try folder.write("cat", "#!/bin/sh\nhead -c 8192 \"$1\"\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder("cat"))
            let cut = try fixture.adapter(transport: RenamingTransport(from: "cat", to: folder("cat")))
            let failed = await thrownFailure { try await CapturedSource(cut) }
            #expect(failed?.summary.contains("not whole") == true, "\(String(describing: failed))")
            #expect(try fixture.left() == [])
        }
    }

    @Test("what a killed capture left beside the member is removed by the next one")
    func leftOver() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            let adapter = try #require(try fixture.adapter() as? any FreezingAdapter)
            let frozen = try await adapter.freeze()
            #expect(try fixture.left().count == 1)
            #expect(frozen.position == "revision 4")
            // Not released, as if salvor had been killed.
            _ = try await CapturedSource(adapter)
            #expect(try fixture.left() == [])
            #expect(await fixture.notes.all() == [])
        }
    }

    @Test("with authentication: the right password, a wrong one, a user who may not")
    func authentication() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            for words in [
                ["user", "add", "root:r"], ["user", "grant-role", "root", "root"], ["user", "add", "poor:p"],
                ["auth", "enable"],
            ] { try await fixture.etcd.ctl(words) }
            let right = try fixture.adapter(user: ("root", "r"))
            #expect(await right.preflight().allSatisfy { $0.state == .ok })
            let captured = try await CapturedSource(right)
            let journal = MemoryJournal()
            try await right.stage(captured.restore(), journal: journal)
            #expect(try await right.verify(captured.restore(), journal: journal).allSatisfy(\.isEqual))
            let wrong = try fixture.adapter(user: ("root", "wrong-password"))
            let denied = await thrownFailure { try await CapturedSource(wrong) }
            #expect(denied?.code == .sourceDenied, "\(String(describing: denied))")
            #expect(denied?.summary.contains("wrong-password") == false)
            let poor = try fixture.adapter(user: ("poor", "p"))
            #expect(await poor.preflight().contains { $0.state == .failed && $0.remedy?.contains("root") == true })
            let refused = await thrownFailure { try await CapturedSource(poor) }
            #expect(refused?.code == .sourceDenied, "\(String(describing: refused))")
        }
    }

    @Test("a full disk beside the member is told as such and leaves nothing")
    func fullDisk() async throws {
        try await withEtcd { fixture in
            try await fixture.fill(20)
            guard let disk = try SmallDisk.mounted(at: "disk", in: fixture.temporary, kibibytes: 12) else { return }
            let mark = AdapterSettings.mark
            let connection = AdapterSettings.mapping(["endpoint": AdapterSettings.text(fixture.etcd.endpoint)])
            let adapter = try EtcdFactory().make(
                AdapterSettings.environment(
                    "etcd",
                    .mapping(
                        [
                            ("connection", mark, connection),
                            ("temporary-directory", mark, AdapterSettings.text(disk.path)),
                        ], mark), transport: LocalTransport()))
            #expect(await adapter.preflight().contains { $0.name == "room" && $0.state == .failed })
            let failed = await thrownFailure { try await CapturedSource(adapter) }
            #expect(failed?.code == .localSpace, "\(String(describing: failed))")
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == [])
        }
    }

    @Test("no member, and settings that cannot be")
    func absent() async throws {
        let adapter = try EtcdFactory().make(
            AdapterSettings.environment(
                "etcd",
                AdapterSettings.mapping([
                    "connection": AdapterSettings.mapping([
                        "endpoint": AdapterSettings.text("http://127.0.0.1:\(try ThrowawayRedis.freePort())")
                    ])
                ]), transport: LocalTransport()))
        let failed = await thrownFailure { try await CapturedSource(adapter) }
        #expect(failed?.code == .sourceUnreachable, "\(String(describing: failed))")
        func failure(_ pairs: KeyValuePairs<String, ConfigNode>) -> Failure? {
            do {
                _ = try EtcdFactory().make(
                    AdapterSettings.environment("etcd", AdapterSettings.mapping(pairs), transport: LocalTransport()))
                return nil
            } catch { return error as? Failure }
        }
        let bad = AdapterSettings.mapping(["endpoint": AdapterSettings.text("127.0.0.1:2379")])
        #expect(failure(["connection": bad])?.summary.contains("http://host:port") == true)
        let half = AdapterSettings.mapping(["user": AdapterSettings.text("root")])
        #expect(failure(["connection": half])?.summary.contains("belong together") == true)
    }
}

/// The local transport with another program in one's place.
private struct RenamingTransport: Transport {
    let from: String
    let to: String
    let description = "local"
    let reachesLocalFiles = true

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        var program = program
        if program.name == from { program.name = to }
        return try await LocalTransport().run(program, body)
    }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await LocalTransport().connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
