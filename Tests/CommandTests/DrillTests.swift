// SPDX-License-Identifier: Apache-2.0
import Command
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@Suite("command: drills")
struct DrillTests {
    /// A "system" that is a text file; every program of its restore leaves a trace, and none may run.
    private struct System {
        let folder: TemporaryDirectory
        let original: String

        init() throws {
            folder = try TemporaryDirectory("system")
            original = (1...300_000).map { "entry \($0)\n" }.joined()
            try folder.write("live", original)
            let programs = [
                "touched": "echo \"$0 $*\" >>\(folder("trace")); cat >/dev/null",
                "practice": "env >\"$1/environment\"; echo \"$SALVOR_DRILL_PATH\" >\"$1/path\"; cat >\"$1/copy\"",
                "half": "head -c 100 >/dev/null", "broken": "cat >/dev/null; echo no room >&2; exit 5",
            ]
            for (name, body) in programs {
                try folder.write(name, "#!/bin/sh\n\(body)\n")
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder(name))
            }
        }

        func adapter(drill: [String]?) throws -> any SourceAdapter {
            let live = AdapterSettings.list([folder("touched"), "--live"])
            let keys = ["run", "stage", "verify", "count", "promote", "roll-back", "abandon", "settle"]
            let (mark, text) = (AdapterSettings.mark, AdapterSettings.text)
            return try CommandFactory().make(
                AdapterSettings.environment(
                    "command",
                    AdapterSettings.mapping([
                        "environment": AdapterSettings.mapping([
                            "PLAIN": text("words"), "HIDDEN": text("file:/nowhere/password"),
                        ]),
                        "preflight": live,
                        "capture": AdapterSettings.mapping([
                            "run": AdapterSettings.list(["cat", folder("live")]),
                            "count": AdapterSettings.list(["grep", "-c", "entry"]),
                        ]),
                        "restore": .mapping(keys.map { ($0, mark, live) }, mark),
                    ]), transport: LocalTransport(), drillProgram: drill))
        }

        /// What was captured, as when the secrets could be had.
        func captured() async throws -> CapturedSource {
            let (mark, text) = (AdapterSettings.mark, AdapterSettings.text)
            let run: ConfigNode = .mapping(
                [
                    ("run", mark, AdapterSettings.list(["cat", folder("live")])),
                    ("count", mark, AdapterSettings.list(["grep", "-c", "entry"])),
                ], mark)
            let node = AdapterSettings.mapping([
                "capture": run, "restore": AdapterSettings.mapping(["run": .sequence([text("true")], mark)]),
            ])
            return try await CapturedSource(
                try CommandFactory().make(
                    AdapterSettings.environment("command", node, transport: LocalTransport())))
        }

        var traces: String {
            // Not there is what is hoped for.
            (try? String(contentsOfFile: folder("trace"), encoding: .utf8)) ?? ""
        }
    }

    @Test("the copy goes to the program of the drill, below its folder, counted; nothing of the live restore runs")
    func whole() async throws {
        let system = try System()
        let captured = try await system.captured()
        let restore = captured.restore()
        let adapter = try system.adapter(drill: [system.folder("practice"), "{folder}"])
        let (facts, place) = try await DrilledRestore.of(restore, adapter) { copy in
            let place = try #require(copy.places(of: restore)["SALVOR_DRILL_PATH"])
            func text(_ name: String) throws -> String {
                try String(contentsOfFile: "\(place)/\(name)", encoding: .utf8)
            }
            #expect(try text("copy") == system.original)
            #expect(try text("path") == place + "\n")
            let environment = try text("environment").split(separator: "\n")
            #expect(environment.contains("PLAIN=words"))
            #expect(!environment.contains { $0.hasPrefix("HIDDEN=") }, "a secret of the live system is given away")
            return place
        }
        #expect(place.hasPrefix("/tmp/salvor-dr-"))
        #expect(facts.contains { $0.name == "count" && $0.isEqual } && facts.allSatisfy(\.isEqual), "\(facts)")
        #expect(system.traces == "", "a program of the live restore ran")
        #expect(try String(contentsOfFile: system.folder("live"), encoding: .utf8) == system.original)
        withExtendedLifetime(captured) {}
    }

    @Test("without such a program, with a live one, or with one that fails or reads half, the drill fails and says so")
    func refused() async throws {
        let system = try System()
        let captured = try await system.captured()
        let restore = captured.restore()
        let cases: [([String]?, Failure.Code, String)] = [
            (nil, .restoreBlocked, "names no program that restores it for practice"),
            ([system.folder("touched"), "--live"], .restoreBlocked, "is the same as 'restore.run'"),
            ([system.folder("half"), "{folder}"], .restoreFailed, "had not read all"),
            ([system.folder("broken"), "{folder}"], .restoreFailed, "exit status 5): no room"),
            (["/nowhere/program"], .programMissing, "/nowhere/program"),
        ]
        for (program, code, words) in cases {
            let adapter = try system.adapter(drill: program)
            let failure = await thrownFailure { _ = try await DrilledRestore.of(restore, adapter) { _ in } }
            #expect(failure?.code == code && failure?.summary.contains(words) == true, "\(failure as Any)")
            if program == nil { #expect(failure?.hint?.contains("drill: {restore: [PROGRAM,") == true) }
        }
        #expect(system.traces == "", "a program of the live restore ran")
        withExtendedLifetime(captured) {}
    }
}
