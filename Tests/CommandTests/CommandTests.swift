// SPDX-License-Identifier: Apache-2.0
import Command
import Domain
import Foundation
import TestSupport
import Testing
import Transports

/// A "system" that is a text file, with programs around it.
private struct Ledger {
    let folder: TemporaryDirectory
    let tools: TemporaryDirectory

    var live: String { folder("live") }

    init() throws {
        folder = try TemporaryDirectory("ledger")
        tools = try TemporaryDirectory("tools")
        try folder.write("live", (1...1000).map { "entry \($0)\n" }.joined() + "-- end\n")
        for (name, body) in [
            ("stage", "cat > \"$1.beside\""),
            ("promote", "mv \"$1\" \"$1.old\" && mv \"$1.beside\" \"$1\""),
            ("back", "if [ -e \"$1.old\" ]; then mv -f \"$1.old\" \"$1\"; fi; rm -f \"$1.beside\""),
            ("abandon", "rm -f \"$1.beside\""), ("settle", "rm -f \"$1.old\""),
            ("count", "grep -c entry \"$1.beside\""), ("fail", "echo \"broken: $SECRET\" >&2; exit 3"),
            ("half", "head -c 2000 \"$1\"; exit 0"), ("late", "cat \"$1\"; exit 7"), ("nothing", "exit 0"),
            ("environment", "echo \"$PLAIN $SECRET $SALVOR_SOURCE\"; echo '-- end'"),
        ] {
            try tools.write(name, "#!/bin/sh\n\(body)\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tools(name))
        }
    }

    func vector(_ name: String) -> ConfigNode { AdapterSettings.list([tools(name), live]) }

    func adapter(
        capture: [(String, ConfigNode)] = [], restore: [(String, ConfigNode)]? = nil,
        environment: ConfigNode? = nil, preflight: ConfigNode? = nil, transport: any Transport = LocalTransport()
    ) throws -> any SourceAdapter {
        let mark = AdapterSettings.mark
        var captures: [(String, ConfigNode)] = [
            ("run", AdapterSettings.list(["cat", live])), ("end", AdapterSettings.text("-- end")),
            ("count", AdapterSettings.list(["grep", "-c", "entry"])),
            ("file-name", AdapterSettings.text("ledger.txt")),
        ]
        for pair in capture { captures = captures.filter { $0.0 != pair.0 } + [pair] }
        let restores =
            restore ?? [
                ("run", vector("stage")), ("stage", vector("stage")), ("count", vector("count")),
                ("promote", vector("promote")), ("roll-back", vector("back")), ("abandon", vector("abandon")),
                ("settle", vector("settle")),
            ]
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [
            ("capture", mark, .mapping(captures.map { ($0.0, mark, $0.1) }, mark)),
            ("restore", mark, .mapping(restores.map { ($0.0, mark, $0.1) }, mark)),
        ]
        if let environment { pairs.append(("environment", mark, environment)) }
        if let preflight { pairs.append(("preflight", mark, preflight)) }
        return try CommandFactory().make(
            AdapterSettings.environment("command", .mapping(pairs, mark), transport: transport))
    }

    func text() throws -> String { try String(contentsOfFile: live, encoding: .utf8) }
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
}

@Suite("command: a program's output there and back")
struct CommandTests {
    @Test("staged, counted, promoted, rolled back, promoted again and settled")
    func roundTrip() async throws {
        let ledger = try Ledger()
        let adapter = try ledger.adapter()
        #expect(await adapter.preflight().allSatisfy { $0.state == .ok })
        let original = try ledger.text()
        let captured = try await CapturedSource(adapter)
        #expect(captured.capture.bytes("output") == Array(original.utf8))
        #expect(captured.capture.stream("output")?.fileName == "ledger.txt")
        #expect(captured.report.facts["count"] == .count(1000))
        #expect(captured.report.facts["bytes"] == .count(Int64(original.utf8.count)))
        try ledger.folder.write("live", "garbage\n")
        let (journal, restore) = (MemoryJournal(), captured.restore())
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.steps.contains { $0.phase == "promote" && $0.command?.contains("promote") == true })
        try await adapter.restoreWhole(restore, journal: journal)
        #expect(try ledger.text() == original)
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try ledger.text() == "garbage\n")
        #expect(try ledger.names() == ["live"])
        let again = MemoryJournal()
        try await adapter.restoreWhole(restore, journal: again)
        try await adapter.settle(restore.place, journal: again)
        #expect(try ledger.text() == original)
        #expect(try ledger.names() == ["live"])
    }

    @Test("without a staging program the restore command gets the whole stream, and the plan says what that means")
    func direct() async throws {
        let ledger = try Ledger()
        let adapter = try ledger.adapter(restore: [("run", AdapterSettings.list(["tee", ledger.live]))])
        let original = try ledger.text()
        let captured = try await CapturedSource(adapter)
        try ledger.folder.write("live", "garbage\n")
        let (journal, restore) = (MemoryJournal(), captured.restore())
        let warnings = try await adapter.planRestore(restore).warnings
        #expect(warnings.contains { $0.contains("no 'roll-back'") } && warnings.contains { $0.contains("no 'stage'") })
        try await adapter.stage(restore, journal: journal)
        #expect(try ledger.text() == "garbage\n")
        #expect(try await adapter.verify(restore, journal: journal).allSatisfy(\.isEqual))
        try await adapter.promote(restore, journal: journal)
        #expect(try ledger.text() == original)
        let failed = await thrownFailure { try await adapter.rollBack(restore.place, journal: journal) }
        #expect(failed?.code == .restoreBlocked)
    }

    @Test("output is refused that is short, late, empty, unchecked or uncounted")
    func refused() async throws {
        let ledger = try Ledger()
        func failure(_ capture: [(String, ConfigNode)]) async throws -> Failure? {
            let adapter = try ledger.adapter(capture: capture)
            return await thrownFailure { try await CapturedSource(adapter) }
        }
        let short = try await failure([("run", ledger.vector("half"))])
        #expect(short?.summary.contains("does not end as it should") == true, "\(String(describing: short))")
        let late = try await failure([("run", ledger.vector("late"))])
        #expect(late?.summary.contains("exit status 7") == true, "\(String(describing: late))")
        let empty = try await failure([("run", ledger.vector("nothing"))])
        #expect(empty?.summary.contains("printed nothing") == true)
        let check = try await failure([("check", AdapterSettings.list(["grep", "-q", "absent"]))])
        #expect(check?.hint?.contains("did not accept") == true, "\(String(describing: check))")
        let count = try await failure([("count", AdapterSettings.list(["true"]))])
        #expect(count?.summary.contains("counted nothing") == true)
        let missing = try await failure([("run", AdapterSettings.list(["/no/such/program"]))])
        #expect(missing?.code == .programMissing)
    }

    @Test("a program that is killed half way fails the source")
    func killed() async throws {
        let ledger = try Ledger()
        try ledger.tools.write("suicide", "#!/bin/sh\ncat \"$1\"\nkill -9 $$\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: ledger.tools("suicide"))
        let adapter = try ledger.adapter(capture: [("run", ledger.vector("suicide"))])
        let failed = await thrownFailure { try await CapturedSource(adapter) }
        #expect(failed?.summary.contains("signal 9") == true, "\(String(describing: failed))")
    }

    @Test("secrets reach programs by the environment only, and no message repeats them")
    func secrets() async throws {
        let ledger = try Ledger()
        let environment = AdapterSettings.mapping(["PLAIN": AdapterSettings.text("word")])
        let adapter = try ledger.adapter(
            capture: [("run", ledger.vector("environment")), ("count", AdapterSettings.list(["wc", "-l"]))],
            environment: environment)
        let captured = try await CapturedSource(adapter)
        #expect(String(decoding: captured.capture.bytes("output") ?? [], as: UTF8.self) == "word  app\n-- end\n")
        let file = try ledger.folder.write("secret", "very-secret\n")
        let secret = AdapterSettings.mapping(["SECRET": AdapterSettings.text("file:\(file)")])
        let mark = AdapterSettings.mark
        let source = SourceSettings(
            name: "app", adapter: "command", transport: .local,
            settings: .mapping(
                [
                    ("environment", mark, secret),
                    ("capture", mark, AdapterSettings.mapping(["run": ledger.vector("fail")])),
                    ("restore", mark, AdapterSettings.mapping(["run": ledger.vector("stage")])),
                ], mark), mark: mark)
        let failing = try CommandFactory().make(
            AdapterEnvironment(
                source: source, transport: LocalTransport(), secrets: KnownSecret(), clock: SystemClock()))
        let failed = await thrownFailure { try await CapturedSource(failing) }
        #expect(failed?.summary.contains("broken: <redacted>") == true, "\(String(describing: failed))")
    }

    @Test("killed between any two programs, a restore is resumed or undone")
    func crash() async throws {
        let ledger = try Ledger()
        let healthy = try ledger.adapter()
        let original = try ledger.text()
        let captured = try await CapturedSource(healthy)
        let restore = captured.restore()
        for limit in 0..<7 {
            try ledger.folder.write("live", "garbage\n")
            let journal = MemoryJournal(failingAfter: limit)
            do { try await healthy.restoreWhole(restore, journal: journal) } catch is MemoryJournal.Killed {}
            let later = MemoryJournal(await journal.recorded)
            if limit % 2 == 0 || limit > 4 {
                try await healthy.rollBack(restore.place, journal: later)
                #expect(try ledger.text() == "garbage\n", "at record \(limit)")
                #expect(try ledger.names() == ["live"], "at record \(limit)")
            } else {
                do {
                    try await healthy.stage(restore, journal: later)
                    _ = try await healthy.verify(restore, journal: later)
                } catch let failure as Failure where failure.summary.contains("past its staging") {}
                if try ledger.text() == "garbage\n" { try await healthy.promote(restore, journal: later) }
                #expect(try ledger.text() == original, "at record \(limit)")
                try? FileManager.default.removeItem(atPath: ledger.live + ".old")
            }
        }
    }

    @Test("a full disk under the scratch folder is told as such")
    func fullDisk() async throws {
        let ledger = try Ledger()
        try ledger.folder.write("live", String(repeating: "entry\n", count: 400_000) + "-- end\n")
        let adapter = try ledger.adapter()
        let captured = try await CapturedSource(adapter)
        guard let disk = try SmallDisk.mounted(at: "disk", in: ledger.folder, kibibytes: 512) else { return }
        var restore = captured.restore()
        restore.scratchDirectory = disk.path
        let failed = await thrownFailure { try await adapter.stage(restore, journal: MemoryJournal()) }
        #expect(failed?.code == .restoreBlocked)
        #expect(failed?.summary.contains("bytes free") == true)
    }

    @Test("settings are read strictly: a restore is required, and programs are vectors")
    func settings() throws {
        func failure(_ pairs: KeyValuePairs<String, ConfigNode>) -> Failure? {
            do {
                _ = try CommandFactory().make(
                    AdapterSettings.environment("command", AdapterSettings.mapping(pairs), transport: LocalTransport()))
                return nil
            } catch { return error as? Failure }
        }
        let run = AdapterSettings.mapping(["run": AdapterSettings.list(["true"])])
        #expect(failure(["capture": run])?.summary.contains("'app.restore' is required") == true)
        let line = AdapterSettings.mapping(["run": AdapterSettings.text("pg_dump app")])
        #expect(failure(["capture": line, "restore": run])?.summary.contains("list of a program") == true)
        let promote = AdapterSettings.mapping([
            "run": AdapterSettings.list(["true"]), "promote": AdapterSettings.list(["true"]),
        ])
        #expect(failure(["capture": run, "restore": promote])?.summary.contains("needs a 'stage'") == true)
        let name = AdapterSettings.mapping(["BAD-NAME": AdapterSettings.text("x")])
        #expect(failure(["capture": run, "restore": run, "environment": name])?.summary.contains("BAD-NAME") == true)
        #expect(failure(["capture": run, "restore": run]) == nil)
    }
}

private struct KnownSecret: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String { "very-secret" }
}
