// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// At three in the morning the key is back in the safe, and the bucket may be out of reach.
@Suite("Rolling back and settling without key and repository")
struct RestoreEndingTests {
    /// Salvor on the same host with an empty keyring, and the repository out of the way until `body` is done.
    private func alone(_ site: Site, _ body: (SalvorProcess) async throws -> Void) async throws {
        let keys = try ThrowawayKeys()
        var process = site.host
        process.environment["GNUPGHOME"] = keys.home
        try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("away"))
        try await body(process)
        try FileManager.default.moveItem(atPath: site.folder("away"), toPath: site.folder("repo"))
    }

    private func sqlite(_ site: Site, _ text: String) async throws -> String {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        try #require(outcome.status == 0, "\(outcome.errors)")
        return outcome.text
    }

    private func restored(_ site: Site, _ arguments: [String]) async throws -> String {
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"] + arguments, as: site.owner)
        return try #require(try await site.openRestores().first)
    }

    @Test("files and SQLite: promoted and staged, whole and file by file")
    func filesAndSQLite() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                """)
        for name in ["a.conf", "sub/b.conf"] { try site.folder.write("etc/\(name)", "good\n") }
        _ = try await sqlite(site, "CREATE TABLE t(a); INSERT INTO t VALUES (1);")
        try await site.ok(["backup"])
        try site.folder.write("etc/a.conf", "bad\n")
        try FileManager.default.removeItem(atPath: site.folder("etc/sub"))
        try site.folder.write("etc/new.conf", "new\n")
        _ = try await sqlite(site, "DELETE FROM t;")
        let before = (try site.tree("etc"), try await sqlite(site, ".dump"))

        // Whole roots are exchanged; with --include files are put into the live tree one by one.
        for arguments in [[], ["--source", "config", "--include", "**/*.conf"]] {
            let id = try await restored(site, arguments)
            #expect(try site.tree("etc")["a.conf"] == Data("good\n".utf8))
            try await alone(site) { try await site.ok(["restore", "--rollback", id, "--yes"], as: $0) }
            #expect(try site.tree("etc") == before.0)
            #expect(try await sqlite(site, ".dump") == before.1)
            #expect(try await site.openRestores().isEmpty)
        }
        let staged = try await restored(site, ["--stage-only"])
        try await alone(site) {
            let refused = try await $0.run(["restore", "--promote", staged, "--yes", "--no-safety-bundle"])
            #expect(refused.status != 0)
            #expect(try site.tree("etc") == before.0)
            try await site.ok(["restore", "--rollback", staged, "--yes"], as: $0)
        }
        for arguments in [[], ["--source", "config", "--include", "**/*.conf"]] {
            let id = try await restored(site, arguments)
            try await alone(site) { try await site.ok(["settle", id, "--yes"], as: $0) }
            #expect(try site.tree("etc")["a.conf"] == Data("good\n".utf8))
        }
        #expect(try await sqlite(site, "SELECT count(*) FROM t").contains("1"))
        let left = try FileManager.default.contentsOfDirectory(atPath: site.folder.path)
        #expect(!left.contains { $0.contains("salvor-") || $0.contains("before-") }, "\(left)")
        let state = try site.tree("state").keys
        #expect(state.allSatisfy { !$0.contains("/kept") }, "\(state)")
    }

    @Test("PostgreSQL and Redis: promoted and staged")
    func servers() async throws {
        let postgres = try await ThrowawayPostgreSQL.start()
        let redis = try ThrowawayRedis(password: "redis-secret-11ab")
        let site = try await Site.make(
            sources: """
                - name: app-db
                  adapter: postgresql
                  connection: {host: 127.0.0.1, port: \(postgres.port), user: postgres, password: env:SITE_PG}
                  databases: [shop]
                - name: cache
                  adapter: redis
                  connection: {host: 127.0.0.1, port: \(redis.port), password: env:SITE_REDIS}
                """,
            environment: ["SITE_PG": ThrowawayPostgreSQL.password, "SITE_REDIS": "redis-secret-11ab"])
        _ = try await postgres.sql("CREATE DATABASE shop")
        _ = try await postgres.sql("CREATE TABLE t(a int); INSERT INTO t VALUES (1), (2)", database: "shop")
        _ = try redis.cli("SET", "a", "good")
        try await site.ok(["backup"])
        _ = try await postgres.sql("DELETE FROM t", database: "shop")
        _ = try redis.cli("SET", "a", "bad")

        let staged = try await restored(site, ["--stage-only"])
        try await alone(site) { try await site.ok(["restore", "--rollback", staged, "--yes"], as: $0) }
        let first = try await restored(site, [])
        #expect(try await postgres.sql("SELECT count(*) FROM t", database: "shop").contains("2"))
        #expect(try redis.cli("GET", "a").contains("good"))
        try await alone(site) { try await site.ok(["restore", "--rollback", first, "--yes"], as: $0) }
        #expect(try await postgres.sql("SELECT count(*) FROM t", database: "shop").contains("0"))
        #expect(try redis.cli("GET", "a").contains("bad"))
        let second = try await restored(site, [])
        try await alone(site) { try await site.ok(["settle", second, "--yes"], as: $0) }
        #expect(try await postgres.sql("SELECT count(*) FROM t", database: "shop").contains("2"))
        #expect(try redis.cli("GET", "a").contains("good"))
        let databases = try await postgres.sql("SELECT datname FROM pg_database")
        #expect(!databases.contains("__salvor") && !databases.contains("__before"), "\(databases)")
        try await postgres.stop()
    }
}
