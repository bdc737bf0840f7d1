// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `kill -9` of salvor alone, while programs it started are at work.
@Suite("Killed while programs run", .serialized)
struct OrphanTests {
    private func sessions(_ servers: ServerSite) async throws -> String {
        try await servers.postgres.sql(
            "SELECT string_agg(application_name || ': ' || query, E'\\n') FROM pg_stat_activity WHERE datname = 'shop'")
    }

    /// Waits until nothing is left; whoever is after 15 s is an orphan.
    private func expectNothingLeft(
        _ servers: ServerSite, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(15)
        var (programs, open) = (try servers.programs().map(\.line), try await sessions(servers))
        while !programs.isEmpty || !open.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
            (programs, open) = (try servers.programs().map(\.line), try await sessions(servers))
        }
        #expect(programs == [], "orphans", sourceLocation: sourceLocation)
        #expect(open == "", "open sessions", sourceLocation: sourceLocation)
    }

    private func expectNextRun(_ servers: ServerSite) async throws {
        try await servers.site.ok(["backup"])
        try await servers.site.ok(["validate-backup", "latest", "--level", "contents"], as: servers.site.owner)
        try await expectNothingLeft(servers)
    }

    @Test("pg_dump in the middle of a table, gpg, and the snapshot's session end with it; the next run succeeds")
    func streaming() async throws {
        let servers = try await ServerSite.make()
        try await servers.postgres.sql(
            "CREATE TABLE large AS SELECT i, md5(i::text) || md5((i + 1)::text) AS x FROM generate_series(1, 1000000) i",
            database: "shop")
        let outcome = try await servers.site.host.run(
            ["backup", "--source", "app-db"],
            when: {
                // Some of the table has gone through its pipe.
                let dumps = (try? servers.programs().filter { $0.line.contains("/pg_dump ") }) ?? []
                return dumps.contains { $0.written > 4 << 20 }
            })
        #expect(outcome.status == 137, "\(outcome)")
        try await expectNothingLeft(servers)
        #expect(try await servers.site.bundles().isEmpty)
        try await expectNextRun(servers)
        try await servers.postgres.stop()
    }

    @Test("programs that wait for the server, neither reading nor writing, end as well, and so do their queries")
    func waiting() async throws {
        let servers = try await ServerSite.make()
        let reached = servers.site.folder("reached")
        // A prepared transaction holds its lock without a session.
        try await servers.postgres.sql(
            "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'lock'", database: "shop")
        let watcher = Task {
            while try await servers.postgres.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0" {
                try await Task.sleep(for: .milliseconds(20))
            }
            try servers.site.folder.write("reached", "")
        }
        let outcome = try await servers.site.host.run(
            ["backup", "--source", "app-db"], when: { FileManager.default.fileExists(atPath: reached) })
        watcher.cancel()
        #expect(outcome.status == 137, "\(outcome)")
        try await expectNothingLeft(servers)
        try await servers.postgres.sql("ROLLBACK PREPARED 'lock'", database: "shop")
        try await expectNextRun(servers)
        try await servers.postgres.stop()
    }
}
