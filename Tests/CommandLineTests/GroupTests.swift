// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// `consistency: together` on real servers.
@Suite("Sources frozen together", .serialized)
struct GroupTests {
    @Test("with the application paused, what moves between three systems adds up in every bundle; the skew is stated")
    func quiesced() async throws {
        let group = try await GroupSite.make(quiesce: GroupSite.restingWriter)
        let site = group.site
        let (_, moves) = try await group.moving {
            for _ in 0..<2 { try await site.ok(["backup"]) }
        }
        #expect(moves > 10, "the writer hardly wrote: \(moves)")
        #expect(try group.resumed() == 2 && !group.exists("paused"))
        #expect(try await group.tokens().reduce(0, +) == GroupSite.total)
        for bundle in try await site.bundles() {
            try await site.ok(["restore", bundle, "--yes", "--no-safety-bundle"], as: site.owner)
            let tokens = try await group.tokens()
            #expect(tokens.reduce(0, +) == GroupSite.total, "\(bundle): \(tokens)")
        }
        let manifest = try await group.manifest()
        let stated = try #require(manifest.group)
        #expect(
            stated.sources == ["cache", "app-db", "search"] && stated.missing.isEmpty && manifest.state == "complete")
        #expect((1..<5_000_000).contains(stated.skewMicroseconds))
        let paused = try #require(stated.paused)
        for source in manifest.sources {
            guard let frozen = source.frozen else {
                #expect(source.name == "config")
                continue
            }
            // Each within the pause.
            #expect(paused.from <= frozen.from && frozen.from <= frozen.to && frozen.to <= paused.to, "\(source)")
        }
        let positions = Dictionary(uniqueKeysWithValues: manifest.sources.map { ($0.name, $0.position) })
        #expect(positions["app-db"]??.contains("/") == true && positions["cache"]??.contains(":") == true)
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("group: cache, app-db, search as of one moment, within"), "\(shown)")
        #expect(shown.contains("; paused for") && shown.contains("config: read meanwhile, from"), "\(shown)")
        try await site.ok(["validate-backup", "latest", "--all", "--level", "contents"], as: site.owner)
        try await group.expectNothingHeld()
        try await group.servers.postgres.stop()
    }

    @Test("what is written after the freeze is in no copy, however long the streams take")
    func frozen() async throws {
        let group = try await GroupSite.make()
        let site = group.site
        // Stops the dump until everything was changed behind the freeze.
        try group.servers.precede(
            "pg_dump",
            "touch \(site.folder("reached")); until [ -e \(site.folder("go")) ]; do sleep 0.02; done\n"
                + "exec \"$REAL\" \"$@\"")
        async let backup = site.host.run(["backup"])
        try await group.expectSoon("pg_dump was started") { group.exists("reached") }
        try await group.servers.postgres.sql("UPDATE tokens SET n = 7", database: "shop")
        try await group.servers.postgres.sql("CREATE DATABASE later")
        try group.servers.redis.cli("SET", "tokens", "7")
        try await group.sqlite("UPDATE tokens SET n = 7")
        try site.folder.write("go", "")
        let outcome = try await backup
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("group: cache, app-db, search as of one moment"), "\(outcome.output)")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        let tokens = try await group.tokens()
        #expect(tokens[0] == 100, "PostgreSQL: \(tokens)")
        // The others may have been read to their end before they were changed; never after.
        #expect(tokens == [100, 100, 100])
        try await group.expectNothingHeld()
        try await group.servers.postgres.stop()
    }

    @Test("a server that waits before it forks is waited for: the others freeze when it does")
    func lead() async throws {
        let group = try await GroupSite.make(quiesce: GroupSite.files)
        try group.servers.redis.cli("CONFIG", "SET", "repl-diskless-sync-delay", "2")
        let outcome = try await group.site.host.run(["backup"])
        #expect(outcome.status == 0, "\(outcome)")
        let manifest = try await group.manifest()
        let paused = try #require(manifest.group?.paused)
        // Only how long they waited at least: how far apart all came in the end depends on the machine's load.
        for name in ["app-db", "search"] {
            let frozen = try #require(manifest.sources.first { $0.name == name }?.frozen)
            let waited = ClockInterval(from: paused.from, to: frozen.from)
            #expect(waited.microseconds >= 2_000_000, "\(name): \(frozen), \(paused)")
        }
        try await group.servers.postgres.stop()
    }

    @Test("a source that does not freeze: all are released, the others share a moment, and the bundle is partial")
    func oneMissing() async throws {
        let group = try await GroupSite.make(quiesce: GroupSite.files)
        let site = group.site
        // Preflight finds the server well; what freezes does not.
        try group.servers.precede(
            "psql", "[ -e \(site.folder("paused")) ] && { echo 'as planned' >&2; exit 3; }\nexec \"$REAL\" \"$@\"")
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome)")
        #expect(outcome.errors.contains("goes on without source 'app-db'"), "\(outcome.errors)")
        let manifest = try await group.manifest()
        #expect(manifest.state == "partial")
        #expect(manifest.group?.sources == ["cache", "search"] && manifest.group?.missing == ["app-db"])
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("NOT WHOLE, app-db missing"), "\(shown)")
        // Once for the attempt at all three, once for the one without.
        #expect(try group.resumed() == 2 && !group.exists("paused"))
        try await group.expectNothingHeld()

        // With a retry, the whole group is frozen anew.
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan.replacingOccurrences(
                of: "    databases: [shop]", with: "    databases: [shop]\n    retries: 1\n    retry-delay: 1s"))
        let once = site.folder("failed-once")
        try group.servers.precede(
            "psql",
            "[ -e \(site.folder("paused")) ] && [ ! -e \(once) ] && { touch \(once); echo 'as planned' >&2; exit 3; }\n"
                + "exec \"$REAL\" \"$@\"")
        let second = try await site.host.run(["backup"])
        #expect(second.status == 0 && second.errors.contains("attempt 1 of 2 failed"), "\(second)")
        #expect(try await group.manifest().group?.missing == [])
        try await group.expectNothingHeld()
        try await group.servers.postgres.stop()
    }

    @Test("SIGINT and kill -9 in the middle of the streams leave no session, no program and no reader behind")
    func interrupted() async throws {
        let group = try await GroupSite.make()
        let site = group.site
        for signal in [SIGINT, SIGKILL] {
            try? FileManager.default.removeItem(atPath: site.folder("reached"))
            try group.servers.precede("pg_dump", "touch \(site.folder("reached")); exec sleep 600")
            let outcome = try await site.host.run(
                ["backup"], when: { group.exists("reached") }, signal: signal)
            #expect(outcome.status == (signal == SIGINT ? 130 : 137), "\(outcome)")
            try await group.expectNothingHeld()
            #expect(try await site.bundles().isEmpty)
        }
        try group.servers.precede("pg_dump", "exec \"$REAL\" \"$@\"")
        try await site.ok(["backup"])
        try await group.servers.postgres.stop()
    }

    @Test("a plan whose data cannot be frozen, or that freezes nothing, is refused with its place")
    func refused() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", plan + "\nconsistency: together\n")
        for command in [["config", "check"], ["backup"], ["doctor"]] {
            let outcome = try await site.host.run(command)
            #expect(outcome.status == 2)
            #expect(outcome.errors.contains("plan.yaml: no source of plan 'nightly' can be frozen"), "\(outcome)")
        }
        try site.folder.write(
            "plan.yaml", plan.replacingOccurrences(of: "adapter: files", with: "adapter: files, freeze: off"))
        let outcome = try await site.host.run(["config", "check"])
        #expect(outcome.status == 2 && outcome.errors.contains("'freeze: off', and nothing is frozen"), "\(outcome)")
    }
}
