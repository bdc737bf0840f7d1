// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("The plan of a restore, read at night")
struct DryRunTests {
    private struct Envelope: Decodable {
        struct Plan: Decodable {
            struct Source: Decodable {
                struct Steps: Decodable {
                    struct Step: Decodable { var phase: String, what: String, command: String? }
                    var target: String, origin: String
                    var steps: [Step]
                    var replaces: [String], creates: [String], blockers: [String], warnings: [String]
                    var bytesNeeded: Int?, bytesFree: Int?
                }
                var name: String, adapter: String
                var rawBytes: Int
                var steps: Steps
            }
            var bundle: String, host: String, repository: String
            var bytesToFetch: Int, estimatedSeconds: Int
            var sources: [Source]
            var blockers: [String]
        }
        var result: Plan
    }

    @Test(
        "says where from, where to, what is replaced, the commands, bytes, room, versions and time, and changes nothing"
    )
    func content() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().last)
        let state = try site.tree("state")
        let databases = "SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database"
        let before = try await servers.postgres.sql(databases)
        let text = try await site.ok(["restore", bundle, "--dry-run"], as: site.owner)
        let version = try await servers.postgres.sql("SHOW server_version").prefix { $0 != " " }
        for part in [
            // where from
            "RESTORE of bundle \(bundle)", "taken    ", "on host ", "from     file://\(site.folder("repo"))", "UTC",
            // bytes and time
            "fetches  ", "takes about ", "SOURCE app-db (postgresql), ", "SOURCE cache (redis), ",
            // where to, versions
            "from     PostgreSQL \(version)", "to       PostgreSQL \(version)", "127.0.0.1:\(servers.postgres.port)",
            "to       Redis ", "to       files at \(site.folder("etc"))",
            // what is replaced and what is made
            "REPLACES database shop (1 tables, ", "REPLACES directory \(site.folder("etc")) (kept until settled)",
            "REPLACES database 0 (1 keys)", "makes    shop__salvor_",
            // room
            " needed, ", " free",
            // steps and their commands
            "  stage:", "  verify:", "  promote:", "1. ",
            "$ \(site.folder("programs"))/pg_restore --host=",
            " --exit-on-error --jobs=2 \(site.folder("state"))/restores/",
            "redis-server \(site.folder("state"))/restores/",
            "in one transaction rename shop to ", "$ renameat2(RENAME_EXCHANGE)", "REPLICAOF",
            "Nothing was changed by this plan.",
        ] { #expect(text.contains(part), "'\(part)' is not in:\n\(text)") }
        let json = try await site.ok(["restore", bundle, "--dry-run", "--json"], as: site.owner)
        let plan = try JSONDecoder().decode(Envelope.self, from: Data(json.utf8)).result
        #expect(plan.sources.map(\.name) == ["cache", "app-db", "config"])
        #expect(plan.bytesToFetch > 1000 && plan.estimatedSeconds > 0 && plan.blockers.isEmpty)
        for source in plan.sources {
            #expect(!source.steps.target.isEmpty && !source.steps.origin.isEmpty && !source.steps.replaces.isEmpty)
            #expect(Set(source.steps.steps.map(\.phase)) == ["stage", "verify", "promote"])
            #expect(source.steps.steps.contains { $0.command != nil }, "\(source.name) names no command")
            #expect((source.steps.bytesNeeded ?? 0) > 0 && (source.steps.bytesFree ?? 0) > 0, "\(source.name)")
        }
        #expect(try await servers.postgres.sql(databases) == before)
        #expect(try site.tree("state") == state, "not even a note was made")
        #expect(try servers.processes() == [])

        // Too little room for the copies that are staged in the state folder.
        if let disk = try SmallDisk.mounted(at: "tiny", in: site.folder, kibibytes: 64) {
            let tiny = try await site.owner.run(["restore", bundle, "--dry-run", "--state-dir", disk.path])
            #expect(tiny.status == 4 && tiny.output.contains("BLOCKED: \(disk.path)/restores/"), "\(tiny.output)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path) == [])
        }

        // In the way: a database of the promoted name's copy, a server that is gone, a source the plan lost.
        try await servers.postgres.sql(
            "BEGIN; INSERT INTO t VALUES (0, 'x'); PREPARE TRANSACTION 'open'", database: "shop")
        let blocked = try await site.owner.run(["restore", bundle, "--dry-run"])
        #expect(blocked.status == 4)
        #expect(blocked.output.contains("BLOCKED: database 'shop' has 1 prepared transactions"), "\(blocked.output)")
        #expect(blocked.output.hasSuffix("BLOCKED: 1 reasons above. Nothing was changed.\n"))
        let refused = try await site.owner.run(["restore", bundle, "--yes"])
        #expect(refused.status == 4 && refused.errors.contains("prepared"), "\(refused.errors)")
        #expect(try servers.redis.cli("GET", "a") == "1")
        try await servers.postgres.sql("ROLLBACK PREPARED 'open'", database: "shop")

        // Onto a name that is taken: beside stays beside, the one with the name is replaced only after the question.
        try await servers.postgres.sql("CREATE DATABASE other")
        let onto = try await site.ok(
            ["restore", bundle, "--source", "app-db", "--rename", "app-db=other", "--dry-run"], as: site.owner)
        #expect(onto.contains("REPLACES database other (0 tables"), "\(onto)")
        let unasked = try await site.owner.run(["restore", bundle, "--source", "app-db", "--rename", "app-db=other"])
        #expect(unasked.status == 4)
        #expect(
            try await servers.postgres.sql("SELECT count(*) FROM pg_class WHERE relname = 't'", database: "other")
                == "0")
        try await servers.postgres.stop()
    }
}
