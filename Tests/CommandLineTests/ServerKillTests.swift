// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// As `KillTests`, with servers, whose programs and sessions die in the middle as well.
@Suite("Killed at any moment, with servers", .serialized)
struct ServerKillTests {
    /// A small generator with a fixed seed, so that a failing moment can be tried again.
    private struct Seeded {
        var state: UInt64

        mutating func fraction() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 53)
        }
    }

    private func seconds(_ body: () async throws -> Void) async throws -> Double {
        let elapsed = try await ContinuousClock().measure { try await body() }
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    }

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
        let typical = try await seconds { try await site.ok(["backup"]) }
        var random = Seeded(state: 41)
        for round in 0..<20 {
            try site.folder.write("etc/app.conf", "round \(round)\n")
            try servers.redis.cli("SET", "a", "\(round)")
            try await servers.postgres.sql("UPDATE t SET x = '\(round)' WHERE i = \(round + 1)", database: "shop")
            _ = try await site.host.run(["backup"], after: random.fraction() * typical * 1.1)
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

    @Test("10 moments of a restore: every live part is the old one or the new one, and all of it rolls back")
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
        let typical = try await seconds { try await site.ok(arguments, as: site.owner) }
        #expect(try await live(servers) == new)
        try await rollBackAll(site)
        #expect(try await live(servers) == old)
        var random = Seeded(state: 17)
        for round in 0..<10 {
            _ = try await site.owner.run(arguments, after: random.fraction() * typical * 1.05)
            try await waitForPrograms(servers)
            let found = try await live(servers)
            #expect(found.rows == old.rows || found.rows == new.rows, "round \(round) left \(found.rows)")
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
