// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import TestSupport
import Testing
import Transports

@testable import Secrets

@Suite("secrets: files whose contents are nobody's business")
struct SecretsTests {
    private struct Fixture {
        let folder: TemporaryDirectory
        var file: String { folder("app.env") }
        var keys: String { folder("keys") }

        init() throws {
            folder = try TemporaryDirectory("secrets")
            try folder.write(
                "app.env", "# notes\nexport DATABASE_URL=postgres://u:hunter2@db\nTOKEN=\"a\nFAKE=no\n\"\nEMPTY=\n")
            try folder.write("keys/tls.key", "-----BEGIN PRIVATE KEY-----\nhunter2\n")
            for (name, mode) in [("app.env", 0o640), ("keys/tls.key", 0o400), ("keys", 0o710)] {
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder(name))
            }
            if geteuid() == 0 { _ = chown(folder("keys/tls.key"), 1234, 4321) }
        }

        func adapter(_ extra: [(String, ConfigNode)] = []) throws -> any SourceAdapter {
            let mark = AdapterSettings.mark
            let pairs = [
                ("paths", AdapterSettings.list([keys])), ("environment-files", AdapterSettings.list([file])),
            ]
            return try SecretsFactory().make(
                AdapterSettings.environment(
                    "secrets", .mapping((pairs + extra).map { ($0.0, mark, $0.1) }, mark), transport: LocalTransport()))
        }

        func mode(_ name: String) throws -> String {
            var status = stat()
            guard lstat(folder(name), &status) == 0 else { return "none" }
            return "\(String(status.st_mode & 0o7777, radix: 8)) \(status.st_uid):\(status.st_gid)"
        }
    }

    @Test("contents, modes and owners come back; names of variables are known, values nowhere")
    func roundTrip() async throws {
        let fixture = try Fixture()
        let adapter = try fixture.adapter()
        let checks = await adapter.preflight()
        #expect(!checks.contains { $0.state == .failed }, "\(checks)")
        #expect(checks.contains { $0.detail == "3 variables" })
        let modes = try ["app.env", "keys/tls.key", "keys"].map(fixture.mode)
        let captured = try await CapturedSource(adapter)
        #expect(
            captured.report.restoreData["variables"]?[fixture.file]
                == .array(["DATABASE_URL", "EMPTY", "TOKEN"]))
        #expect(captured.report.facts["bytes"] == nil)
        let told = "\(captured.report) \(checks)"
        #expect(!told.contains("hunter2"))
        try fixture.folder.write("app.env", "OTHER=1\n")
        try FileManager.default.removeItem(atPath: fixture.folder("keys/tls.key"))
        let (journal, restore) = (MemoryJournal(), captured.restore())
        let plan = try await adapter.planRestore(restore)
        #expect(plan.warnings.contains { $0.contains("gets back DATABASE_URL, EMPTY, TOKEN") })
        #expect(plan.warnings.contains { $0.contains("loses OTHER") })
        try await adapter.restoreWhole(restore, journal: journal)
        #expect(try ["app.env", "keys/tls.key", "keys"].map(fixture.mode) == modes)
        #expect(try String(contentsOfFile: fixture.file, encoding: .utf8).contains("hunter2"))
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try String(contentsOfFile: fixture.file, encoding: .utf8) == "OTHER=1\n")
        #expect(try fixture.mode("keys/tls.key") == "none")
    }

    @Test("a copy that comes back different is told without saying what is in it")
    func verification() async throws {
        let fixture = try Fixture()
        let adapter = try fixture.adapter()
        let captured = try await CapturedSource(adapter)
        let (journal, restore) = (MemoryJournal(), captured.restore())
        try await adapter.stage(restore, journal: journal)
        let staged = fixture.folder(".app.env.salvor-k3f9qz")
        try "TOKEN=hunter3\n".write(toFile: staged, atomically: false, encoding: .utf8)
        let wrong = try await adapter.verify(restore, journal: journal).filter { !$0.isEqual }
        #expect(wrong.contains { $0.name.hasSuffix("content") && $0.found == .text("something else") })
        #expect(!"\(wrong)".contains("hunter"))
        try await adapter.abandon(restore.place, journal: journal)
        #expect(!FileManager.default.fileExists(atPath: staged))
    }

    @Test("a file that everybody may read is warned of, or refused")
    func modes() async throws {
        let fixture = try Fixture()
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: fixture.file)
        #expect(
            await (try fixture.adapter()).preflight().contains {
                $0.state == .warning && $0.remedy?.hasPrefix("chmod") == true
            })
        let strict = try fixture.adapter([("require-private", AdapterSettings.text("true"))])
        #expect(await strict.preflight().contains { $0.state == .failed && $0.code == "preflight.refused" })
    }

    @Test("names are found as shells and compose find them")
    func names() {
        let text = " A = 1\n#B=2\nC='x\nD=4'\nexport E=5\n\"F\"=6\nG.h-i=7\nnot a line\nJ='k'\nL=\"\\\"\nM=1\"\nN=2"
        #expect(EnvironmentNames.names(in: Array(text.utf8)) == ["A", "C", "E", "G.h-i", "J", "L", "N"])
    }
}
