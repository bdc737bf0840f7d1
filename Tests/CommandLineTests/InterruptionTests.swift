// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// SIGINT and SIGTERM while the programs of a source run.
@Suite("Interrupted while servers are read and written")
struct InterruptionTests {
    @Test("a backup that is interrupted while pg_dump runs ends it, its snapshot and every trace, with its own status")
    func backup() async throws {
        let servers = try await ServerSite.make()
        let (site, reached) = (servers.site, servers.site.folder("reached"))
        for (signal, status) in [(SIGINT, Int32(130)), (SIGTERM, 143)] {
            try servers.precede("pg_dump", "\"$REAL\" \"$@\" | head -c 200000; touch \(reached); sleep 60")
            let outcome = try await site.host.run(
                ["backup", "--json"], when: { FileManager.default.fileExists(atPath: reached) }, signal: signal)
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(outcome.output.contains("\"interrupted\""), "\(outcome.output)")
            #expect(try servers.processes() == [])
            try await servers.waitForSessions()
            let left = try FileManager.default.contentsOfDirectory(atPath: servers.temporary)
            #expect(left == [], "\(left)")
            #expect(try await site.bundles().isEmpty)
            #expect(try site.tree("repo/bundles").values.allSatisfy(\.isEmpty))
            try FileManager.default.removeItem(atPath: reached)
        }
        try servers.precede("pg_dump", "exec \"$REAL\" \"$@\"")
        try await site.ok(["backup"])
        try await site.ok(["validate-backup", "latest"])
        try await servers.postgres.stop()
    }

    @Test("pg_dump killed half way makes the bundle partial, or none at all, with words that say so")
    func killedDump() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try servers.precede("pg_dump", "\"$REAL\" \"$@\" | { head -c 200000; kill -9 $$; }")
        let alone = try await site.host.run(["backup", "--source", "app-db", "--json"])
        #expect(alone.status == 1 && alone.output.contains("signal 9"), "\(alone.output)")
        #expect(try await site.bundles().isEmpty)
        let others = try await site.host.run(["backup"])
        #expect(others.status == 3 && others.output.contains("signal 9"), "\(others.output)")
        let wanted = try await site.owner.run(["restore", "latest", "--source", "app-db", "--dry-run"])
        #expect(wanted.status == 5 && wanted.errors.contains("failed when bundle"), "\(wanted.errors)")
        try await servers.waitForSessions()
        try await servers.postgres.stop()
    }

    @Test(
        "a restore that is interrupted while pg_restore runs removes its stages and servers; the live ones are untouched"
    )
    func restore() async throws {
        let servers = try await ServerSite.make()
        let (site, reached) = (servers.site, servers.site.folder("reached"))
        try await site.ok(["backup"])
        try servers.redis.cli("SET", "a", "live")
        try site.folder.write("etc/app.conf", "live\n")
        let databases = "SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database"
        let before = try await servers.postgres.sql(databases)
        for (signal, status) in [(SIGTERM, Int32(143))] {
            try servers.precede("pg_restore", "touch \(reached); sleep 60")
            // Redis, the first source, has its scratch server running by then.
            let outcome = try await site.owner.run(
                ["restore", "latest", "--yes", "--no-safety-bundle"],
                when: { FileManager.default.fileExists(atPath: reached) }, signal: signal)
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(try servers.processes() == [])
            #expect(try await servers.postgres.sql(databases) == before)
            try await servers.waitForSessions()
            #expect(try await site.openRestores().isEmpty)
            let left = try FileManager.default.contentsOfDirectory(atPath: servers.temporary)
            #expect(left == [], "\(left)")
            let kept = FileManager.default.enumerator(atPath: site.folder("state/restores"))?
                .compactMap { $0 as? String }.filter { $0.contains("dump") || $0.contains("redis") }
            #expect(kept == [], "\(String(describing: kept))")
            #expect(try servers.redis.cli("GET", "a") == "live")
            #expect(try site.tree("etc")["app.conf"] == Data("live\n".utf8))
            try FileManager.default.removeItem(atPath: reached)
        }
        try servers.precede("pg_restore", "exec \"$REAL\" \"$@\"")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try servers.redis.cli("GET", "a") == "1")
        try await servers.postgres.stop()
    }

    @Test("a staged copy that is not what was captured is never promoted: the difference is told, the stages go")
    func different() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try await site.ok(["backup"])
        try servers.redis.cli("SET", "a", "live")
        let databases = "SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database"
        let before = try await servers.postgres.sql(databases)
        try servers.precede(
            "pg_restore",
            """
            for word in "$@"; do case $word in --dbname=*) database=$word ;; esac; done
            "$REAL" "$@" && \(servers.postgres.binaries)/psql -X -q --host=127.0.0.1 --port=\(servers.postgres.port) \
                --username=postgres "$database" -c 'DELETE FROM t WHERE i = 7'
            """)
        let outcome = try await site.owner.run(["restore", "latest", "--yes", "--no-safety-bundle", "--json"])
        #expect(outcome.status == 1 && outcome.output.contains("\"restore.verify-failed\""), "\(outcome.output)")
        #expect(outcome.output.contains("rows: 20000 at capture, 19999 restored"), "\(outcome.output)")
        #expect(try await servers.postgres.sql(databases) == before)
        #expect(try servers.redis.cli("GET", "a") == "live")
        #expect(try await site.openRestores().isEmpty)
        #expect(try servers.processes() == [])
        try await servers.postgres.stop()
    }
}
