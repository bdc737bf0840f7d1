// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import TestSupport
import Testing

@Suite("PostgreSQL versions")
struct VersionTests {
    @Test("every major restores into the same and every newer major, and is refused by every older one")
    func matrix() async throws {
        try await withServers(14, 15, 16, 17, 18) { servers in
            var captures: [Int: Captured] = [:]
            for server in servers {
                try await Sample.fill(server)
                captures[server.major] = try await Captured(
                    try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            }
            for target in servers {
                let adapter = try Fixture.adapter(target)
                for (major, captured) in captures.sorted(by: { $0.key < $1.key }) {
                    let restore = captured.restore("m\(major)", rename: "app_\(major)")
                    guard major > target.major else {
                        try await adapter.restoreWhole(restore)
                        #expect(
                            try await target.sql("SELECT count(*) FROM sales.customer", database: "app_\(major)")
                                == "500")
                        continue
                    }
                    let before = try await target.sql("SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database")
                    #expect(try await adapter.planRestore(restore).blockers.contains { $0.contains("older than") })
                    let journal = MemoryJournal()
                    let refused = await failure { try await adapter.stage(restore, journal: journal) }
                    #expect(
                        refused?.code == .restoreBlocked,
                        "\(major) into \(target.major): \(String(describing: refused))")
                    #expect(
                        try await target.sql("SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database") == before)
                    #expect(journal.recordCount == 0)
                }
                // The same major gives the same database.
                #expect(try await target.dump("app") == (try await target.dump("app_\(target.major)")))
            }
        }
    }

    @Test("client programs older than the server, or too new to restore into it, are refused with a way out")
    func clients() async throws {
        try await withServers(15, 14, 17) { servers in
            let server = servers[0]
            for (programs, words) in [(servers[1].binaries, "is older"), (servers[2].binaries, "cannot be restored")] {
                let adapter = try Fixture.adapter(server, programs: programs)
                let refused = await failure { try await Captured(adapter) }
                #expect(refused?.code == .versionRefused)
                #expect(refused?.summary.contains(words) == true)
                #expect(refused?.hint?.contains("PostgreSQL 15") == true)
                #expect(
                    await adapter.preflight().contains {
                        $0.name == "pg_dump version" && $0.state == .failed && $0.remedy != nil
                    })
            }
            let captured = try await Captured(try Fixture.adapter(server))
            let plan = try await (try Fixture.adapter(server, programs: servers[2].binaries)).planRestore(
                captured.restore())
            #expect(plan.blockers.contains { $0.contains("pg_restore 17") })
        }
    }
}
