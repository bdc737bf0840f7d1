// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Lines of runbooks, run by a shell as they stand, on a site with PostgreSQL, Redis, SQLite and files.
@Suite("Runbooks", .serialized)
struct RunbookTests {
    /// The project's own folder.
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private struct Stage {
        let servers: ServerSite
        var site: Site { servers.site }

        static func make() async throws -> Stage {
            let servers = try await ServerSite.make()
            let site = servers.site
            let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
            try site.folder.write(
                "plan.yaml",
                text.replacing(
                    "sources:\n",
                    with: "retention: {last: 5, tags: {emergency: 90d}}\nsources:\n"
                        + "  - {name: search, adapter: sqlite, path: \(site.folder("search.db")), index: true}\n"))
            let stage = Stage(servers: servers)
            try await stage.sqlite("CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('find me');")
            return stage
        }

        @discardableResult
        func sqlite(_ statements: String) async throws -> String {
            try await StockProgram.run("sqlite3", [site.folder("search.db"), statements]).text
        }

        /// Runs one line of a runbook; `<id>` stands for a bundle.
        func line(
            _ line: String, id: String = "", as process: SalvorProcess? = nil
        ) async throws -> StockProgram.Outcome {
            let environment = ProcessInfo.processInfo.environment
                .merging((process ?? site.host).environment) { $1 }
                .merging([
                    "SALVOR": SalvorProcess.path,
                    "PATH": "\(RunbookTests.root)/scripts:"
                        + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"),
                ]) { $1 }
            return try await StockProgram.run(
                "/bin/sh", ["-c", line.replacing("<id>", with: id)], environment: environment)
        }
    }

    private func expect(
        _ outcome: StockProgram.Outcome, _ status: Int32, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.status == status, "\(outcome.errors)\(outcome.text)", sourceLocation: sourceLocation)
    }

    @Test("every line that runbooks have works as written: back up, look, prove, restore data only")
    func lines() async throws {
        let stage = try await Stage.make()
        let site = stage.site
        expect(try await stage.line("backup.sh full --encrypt"), 0)
        expect(try await stage.line("backup.sh incremental"), 0)
        expect(try await stage.line("backup.sh emergency --comment \"before the migration\""), 0)
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("emergency") && shown.contains("before the migration"), "\(shown)")
        let ids = try await site.bundles()
        #expect(ids.count == 3)
        let list = try await stage.line("disaster-recovery.sh list-backups")
        #expect(ids.allSatisfy { list.text.contains($0) }, "\(list.text)")
        expect(try await stage.line("disaster-recovery.sh validate-backup <id>", id: ids[0]), 0)
        expect(try await stage.line("backup-verification.sh"), 0)
        expect(try await stage.line("health-check.sh"), 0)

        try await stage.servers.postgres.sql("DELETE FROM t", database: "shop")
        try stage.servers.redis.cli("SET", "a", "2")
        try site.folder.write("etc/app.conf", "changed since\n")
        let planned = try await stage.line("disaster-recovery.sh restore <id> --dry-run", id: ids[2], as: site.owner)
        expect(planned, 0)
        #expect(try await stage.servers.postgres.sql("SELECT count(*) FROM t", database: "shop") == "0")
        let asked = try await stage.line("disaster-recovery.sh restore <id> --data-only", id: ids[2], as: site.owner)
        expect(asked, 4)
        #expect(asked.errors.contains("--yes"))
        expect(
            try await stage.line(
                "disaster-recovery.sh restore <id> --data-only --yes", id: ids[2], as: site.owner), 0)
        #expect(try await stage.servers.postgres.sql("SELECT count(*) FROM t", database: "shop") == "20000")
        #expect(try stage.servers.redis.cli("GET", "a").contains("1"))
        #expect(try String(contentsOfFile: site.folder("etc/app.conf"), encoding: .utf8) == "changed since\n")
        expect(try await stage.line("restore.sh <id> --source cache --yes", id: ids[2], as: site.owner), 0)

        expect(try await stage.line("backup.sh database app-db"), 0)
        // The night's bundle is still the one that is looked for, not that of one source.
        expect(try await stage.line("backup-verification.sh"), 0)
        expect(try await stage.line("daily-backup.sh"), 0)
        let page = try String(contentsOfFile: "\(Self.root)/docs/runbooks.md", encoding: .utf8)
        for line in [
            "backup.sh full --encrypt", "backup.sh incremental",
            "backup.sh emergency --comment \"before the migration\"",
            "backup.sh database app-db", "disaster-recovery.sh list-backups",
            "disaster-recovery.sh validate-backup <id>",
            "disaster-recovery.sh restore <id> --dry-run", "disaster-recovery.sh restore <id> --data-only",
            "disaster-recovery.sh rebuild-index", "restore.sh <id> --source cache", "backup-verification.sh",
            "health-check.sh", "daily-backup.sh",
        ] { #expect(page.contains("`\(line)`"), "\(line) is not on the page") }
        try await stage.servers.postgres.stop()
    }

    @Test("rebuild-index puts the index back and nothing else; a probe that fails puts the old one back")
    func index() async throws {
        let stage = try await Stage.make()
        let site = stage.site
        expect(try await stage.line("backup.sh full"), 0)
        // Younger, and without the index: not what is taken.
        expect(try await stage.line("backup.sh database cache"), 0)
        try await stage.sqlite("DELETE FROM notes; INSERT INTO notes VALUES ('garbage');")
        try stage.servers.redis.cli("SET", "a", "2")
        for probe in ["false", "/no/such/program"] {
            let failed = try await stage.line("disaster-recovery.sh rebuild-index --probe \(probe)", as: site.owner)
            expect(failed, 1)
            #expect(failed.errors.contains("everything was rolled back"), "\(failed.errors)")
            #expect(try await stage.sqlite("SELECT body FROM notes") == "garbage\n")
        }
        try site.folder.write(
            "probe", "#!/bin/sh\nsqlite3 \(site.folder("search.db")) \"SELECT body FROM notes\" | grep -q \"$1\"\n")
        let good = try await stage.line(
            "disaster-recovery.sh rebuild-index --probe 'sh \(site.folder("probe")) find'", as: site.owner)
        expect(good, 0)
        #expect(try await stage.sqlite("SELECT body FROM notes WHERE notes MATCH 'find'") == "find me\n")
        #expect(try stage.servers.redis.cli("GET", "a").contains("2"))
        #expect(try await site.openRestores().count == 1)
        try await site.ok(["settle", try #require(try await site.openRestores().first), "--yes"])

        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", text.replacing(", index: true", with: ""))
        let none = try await stage.line("disaster-recovery.sh rebuild-index", as: site.owner)
        expect(none, 5)
        #expect(none.errors.contains("index: true"), "\(none.errors)")
        try site.folder.write("plan.yaml", text.replacing("adapter: redis", with: "adapter: redis\n    index: true"))
        let refused = try await stage.line("disaster-recovery.sh rebuild-index", as: site.owner)
        expect(refused, 2)
        #expect(refused.errors.contains("Adapters that can be marked"), "\(refused.errors)")
        try await stage.servers.postgres.stop()
    }

    @Test("statuses say what is wrong: no bundle, an old one, one without a source, damage, mistyped words")
    func statuses() async throws {
        let stage = try await Stage.make()
        let site = stage.site
        let nothing = try await stage.line("backup-verification.sh")
        expect(nothing, 10)
        #expect(nothing.errors.contains("plan 'nightly' has no bundle") || nothing.text.contains("has no bundle"))
        for line in [
            "backup.sh", "backup.sh everything", "backup.sh database", "disaster-recovery.sh",
            "disaster-recovery.sh undo",
            "disaster-recovery.sh restore", "restore.sh", "health-check.sh now", "daily-backup.sh now",
            "backup.sh full --no-such-option",
        ] { expect(try await stage.line(line), 2) }
        expect(try await stage.line("backup-verification.sh --help"), 0)
        expect(try await stage.line("disaster-recovery.sh validate-backup nope"), 5)
        stage.servers.redis.stop(SIGKILL)
        expect(try await stage.line("backup.sh full"), 3)
        let partial = try await stage.line("backup-verification.sh")
        expect(partial, 10)
        #expect((partial.errors + partial.text).contains("lacks cache"), "\(partial.errors)\(partial.text)")
        expect(try await stage.line("health-check.sh"), 10)
        let old = try await stage.line("salvor() { \"$SALVOR\" \"$@\"; }; salvor validate-backup latest --max-age 1s")
        expect(old, 10)
        #expect((old.errors + old.text).contains("more than 1s ago"))
        let id = try #require(try await site.bundles().last)
        let table = try #require(
            FileManager.default.enumerator(atPath: site.folder("repo/bundles"))?.compactMap { $0 as? String }
                .first { $0.contains(id) && $0.hasSuffix("000000.zst.gpg") })
        try Data("x".utf8).write(to: URL(fileURLWithPath: site.folder("repo/bundles/\(table)")))
        expect(try await stage.line("disaster-recovery.sh validate-backup <id>", id: id), 8)
        expect(try await stage.line("backup-verification.sh"), 8)
        // The backup fails in part, the rest is still looked at; the first failure counts.
        let night = try await stage.line("daily-backup.sh")
        expect(night, 3)
        #expect(night.errors.contains("salvor validate-backup: status 8"), "\(night.errors)")
        #expect(night.text.contains("nightly: kept") || night.text.contains("Nothing was removed"), "\(night.text)")
        try await stage.servers.postgres.stop()
    }
}
