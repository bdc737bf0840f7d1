// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("A night and a recovery of real servers, into a bucket")
struct ServersToBucketTests {
    @Test("PostgreSQL, Redis, SQLite and files: full, delta, recovery, and no secret anywhere")
    func whole() async throws {
        let bucket = try await SeaweedFS.shared().plain
        let name = try bucket.makeBucket()
        let postgres = try await ThrowawayPostgreSQL.start()
        let redis = try ThrowawayRedis(password: "redis-secret-7f3a")
        try await prepare(postgres, redis)
        let site = try await Site.make(
            sources: """
                - name: app-db
                  adapter: postgresql
                  connection: {host: 127.0.0.1, port: \(postgres.port), user: postgres, password: env:SITE_PG}
                  databases: [shop]
                - name: cache
                  adapter: redis
                  connection: {host: 127.0.0.1, port: \(redis.port), password: env:SITE_REDIS}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                - {name: config, adapter: files, paths: [$DIR/etc]}
                """,
            repository: """
                {store: "s3://\(name)/prod", s3: {endpoint: "\(bucket.url)", region: \(bucket.region), addressing: path,
                  credentials: {access-key: env:SITE_KEY, secret-key: env:SITE_SECRET}}}
                """, encryption: "  prove: contents",
            environment: [
                "SITE_PG": ThrowawayPostgreSQL.password, "SITE_REDIS": "redis-secret-7f3a",
                "SITE_KEY": bucket.accessKey,
                "SITE_SECRET": bucket.secretKey,
            ])
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await sqlite(site, "CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('find me');")

        try await site.ok(["backup"])
        _ = try await postgres.sql("UPDATE users SET name = 'changed' WHERE id % 100 = 0", database: "shop")
        _ = try redis.cli("SET", "second", "night")
        let night = try await site.ok(["backup", "--json"])
        #expect(night.contains("\"storage\" : \"delta\"") || night.contains("\"storage\":\"delta\""))
        // Both proofs at birth are in the bucket, with signatures that count.
        let proven = try await site.ok(["list-backups", "--verify"])
        #expect(proven.split(separator: "\n").filter { $0.contains("contents ") }.count == 2, "\(proven)")
        try await site.ok(["validate-backup", "latest", "--level", "checksum"])
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        let before = (try await postgres.dump("shop"), try redis.cli("DBSIZE"), try await dump(site))

        _ = try await postgres.sql("DELETE FROM orders; DROP TABLE users CASCADE;", database: "shop")
        _ = try redis.cli("FLUSHALL")
        try await sqlite(site, "DELETE FROM notes;")
        try site.folder.write("etc/app.conf", "broken\n")
        let plan = try await site.owner.run(["restore", "latest", "--dry-run"])
        #expect(plan.status == 0, "\(plan.output)")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try await postgres.dump("shop") == before.0)
        #expect(try redis.cli("DBSIZE") == before.1)
        #expect(try redis.cli("GET", "second").contains("night"))
        #expect(try await dump(site) == before.2)
        #expect(try site.tree("etc")["app.conf"] == Data("listen 80\n".utf8))
        let restore = try #require(try await site.openRestores().first)
        try await site.ok(["settle", restore, "--yes"], as: site.owner)

        let secrets = [ThrowawayPostgreSQL.password, "redis-secret-7f3a", bucket.secretKey]
        let shown = try await site.ok(["config", "show"]) + plan.output + plan.errors + night
        for secret in secrets { #expect(!shown.contains(secret)) }
        for secret in secrets {
            let found = try await StockProgram.run(
                "grep", ["-rlaF", secret, site.folder("state"), site.folder("plan.yaml")])
            #expect(found.status == 1, "a secret in \(found.text)")
        }
        try await postgres.stop()
    }

    private func prepare(_ postgres: ThrowawayPostgreSQL, _ redis: ThrowawayRedis) async throws {
        _ = try await postgres.sql("CREATE DATABASE shop")
        _ = try await postgres.sql(
            """
            CREATE TABLE users(id int PRIMARY KEY, name text);
            INSERT INTO users SELECT n, md5(n::text) FROM generate_series(1, 20000) n;
            CREATE TABLE orders(id serial PRIMARY KEY, who int REFERENCES users(id));
            INSERT INTO orders(who) SELECT n FROM generate_series(1, 500) n;
            SELECT lo_from_bytea(0, 'a large object');
            """, database: "shop")
        _ = try redis.cli("SET", "a", "1")
        _ = try redis.cli("HSET", "h", "f", "v")
        _ = try redis.cli("SET", "gone-later", "x", "EX", "100000")
    }

    private func sqlite(_ site: Site, _ text: String) async throws {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    private func dump(_ site: Site) async throws -> String {
        try await StockProgram.run("sqlite3", [site.folder("search.db"), ".dump"]).text
    }
}
