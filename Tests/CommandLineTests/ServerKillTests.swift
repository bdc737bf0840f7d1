// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// As `KillTests`, with servers, whose programs and sessions die in the middle as well.
@Suite("Killed at any moment, with servers", .serialized)
struct ServerKillTests {
    /// Programs that outlived salvor by more than a moment.
    private func waitForPrograms(_ servers: ServerSite) async throws {
        let deadline = ContinuousClock.now + .seconds(15)
        while try !servers.programs().isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try servers.programs().map(\.line) == [])
        while try await servers.sessions() != "0", ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await servers.sessions() == "0")
    }

    @Test("20 moments of a backup: every next run succeeds, everything that is committed is whole")
    func backups() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        var moments = try await KillMoments(seed: 41) { try await site.ok(["backup"]) }
        for round in 0..<20 {
            try site.folder.write("etc/app.conf", "round \(round)\n")
            try servers.redis.cli("SET", "a", "\(round)")
            try await servers.postgres.sql("UPDATE t SET x = '\(round)' WHERE i = \(round + 1)", database: "shop")
            moments.note(try await site.host.run(["backup"], after: moments.next()))
            try await waitForPrograms(servers)
            let next = try await site.host.run(["backup"])
            #expect(next.status == 0, "round \(round): \(next.errors)")
        }
        try await site.ok(["validate-backup", "latest", "--all", "--level", "contents"], as: site.owner)
        let left = try FileManager.default.contentsOfDirectory(atPath: servers.temporary)
        #expect(left == [], "\(left)")
        try await servers.postgres.stop()
    }

    private struct Live: Equatable {
        var rows: String
        var key: String
        var tree: [String: Data]
    }

    private func live(_ servers: ServerSite) async throws -> Live {
        Live(
            rows: try await servers.postgres.sql("SELECT count(*), min(x), max(i) FROM t", database: "shop"),
            key: try servers.redis.cli("GET", "a"), tree: try servers.site.tree("etc"))
    }

    @Test(
        "10 moments of a restore: every live part is the old one or the new one, and open, and all of it rolls back"
    )
    func restores() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().last)
        let new = try await live(servers)
        try servers.redis.cli("SET", "a", "live")
        try site.folder.write("etc/app.conf", "live\n")
        try await servers.postgres.sql("DELETE FROM t WHERE i > 5", database: "shop")
        let old = try await live(servers)
        let arguments = ["restore", bundle, "--yes", "--no-safety-bundle"]
        var moments = try await KillMoments(seed: 17) { try await site.ok(arguments, as: site.owner) }
        #expect(try await live(servers) == new)
        try await rollBackAll(site)
        #expect(try await live(servers) == old)
        for round in 0..<10 {
            moments.note(try await site.owner.run(arguments, after: moments.next()))
            try await waitForPrograms(servers)
            let found = try await live(servers)
            #expect([old.rows, new.rows].contains(found.rows), "round \(round) left \(found.rows)")
            #expect(found.key == old.key || found.key == new.key, "round \(round) left \(found.key)")
            #expect(found.tree == old.tree || found.tree == new.tree, "round \(round) left half a tree")
            try await rollBackAll(site)
            #expect(try await live(servers) == old, "round \(round) did not roll back")
            let next = try await site.host.run(["backup"])
            #expect(next.status == 0, "round \(round): \(next.errors)")
        }
        try await site.ok(arguments, as: site.owner)
        #expect(try await live(servers) == new)
        try await rollBackAll(site)
        #expect(try await live(servers) == old)
        let databases = try await servers.postgres.sql(
            "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database")
        #expect(databases == "postgres,shop,template0,template1")
        try await servers.postgres.stop()
    }

    private func rollBackAll(_ site: Site) async throws {
        for restore in try await site.openRestores() {
            try await site.ok(["restore", "--rollback", restore, "--yes"], as: site.owner)
        }
    }
}
