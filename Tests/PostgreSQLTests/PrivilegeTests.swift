// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import TestSupport
import Testing

@Suite("PostgreSQL privileges")
struct PrivilegeTests {
    @Test("preflight finds every missing right, and its remedies as they stand make the capture possible")
    func remedies() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            try await server.sql("CREATE ROLE \"back up\" LOGIN PASSWORD 'weak-secret'")
            let adapter = try Fixture.adapter(server, user: "back up", password: "weak-secret")
            #expect(await failure { try await Captured(adapter) }?.code == .sourceDenied)
            // Connecting first, for only then the rest can be seen.
            for _ in 0..<2 {
                let failed = await adapter.preflight().filter { $0.state == .failed }
                #expect(!failed.isEmpty)
                for check in failed {
                    #expect(check.code == Failure.Code.sourceDenied.text)
                    let remedy = try #require(check.remedy)
                    let statement = remedy.replacing("As a superuser: ", with: "")
                    try await server.sql(
                        String(statement.prefix(through: statement.firstIndex(of: ";") ?? statement.startIndex)))
                }
            }
            let remaining = await adapter.preflight().filter { $0.state == .failed }
            #expect(remaining == [])
            let captured = try await Captured(adapter)
            #expect(captured.report.facts["app/sales.customer rows"] == .count(500))
            try await (try Fixture.adapter(server)).restoreWhole(captured.restore(include: ["app"], rename: "copy"))
            #expect(try await server.dump("app") == (try await server.dump("copy")))
        }
    }

    @Test("a healthy server's preflight names its databases, versions and extensions")
    func healthy() async throws {
        try await withServers(15) { servers in
            try await Sample.fill(servers[0])
            let checks = await (try Fixture.adapter(servers[0])).preflight()
            #expect(checks.filter { $0.state == .failed } == [])
            #expect(checks.contains { $0.name == "database app" && $0.detail.contains("pg_trgm 1.6") })
            #expect(checks.contains { $0.name == "databases" && $0.detail.contains("empty") })
            #expect(checks.contains { $0.name == "pg_dump version" && $0.detail.hasPrefix("15.") })
        }
    }

    @Test("without role passwords and without globals, what is left out is known at restore")
    func withoutGlobals() async throws {
        try await withServers(15, 15) { servers in
            try await Sample.fill(servers[0])
            let open = try await Captured(
                try Fixture.adapter(
                    servers[0], ["role-passwords": Fixture.text("false"), "databases": Fixture.text("app")]))
            let globals = String(decoding: open.capture.bytes("globals") ?? [], as: UTF8.self)
            #expect(!globals.contains("PASSWORD"))
            let target = try Fixture.adapter(servers[1])
            #expect(try await target.planRestore(open.restore()).warnings.contains { $0.contains("no passwords") })
            let bare = try await Captured(
                try Fixture.adapter(servers[0], ["globals": Fixture.text("false"), "databases": Fixture.text("app")]))
            #expect(bare.capture.streams.map(\.name) == ["db.app"])
            #expect(
                try await target.planRestore(bare.restore()).blockers.contains("the role 'app_owner' is missing"))
        }
    }
}
