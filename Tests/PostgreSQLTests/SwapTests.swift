// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import TestSupport
import Testing

/// What clients were told, and how often.
private actor Answers {
    private(set) var count: [String: Int] = [:]

    func add(_ answer: String) { count[answer, default: 0] += 1 }
}

@Suite("PostgreSQL promotion and the way back")
struct SwapTests {
    @Test("promotion replaces a database with sessions on it, roll back returns it, settle removes the old one")
    func swap() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            let wanted = try await server.dump("app", ["--create"])
            try await server.sql("DELETE FROM sales.item; CREATE TABLE public.after (a int)", database: "app")
            let changed = try await server.dump("app", ["--create"])
            let adapter = try Fixture.adapter(server)
            let restore = captured.restore()
            let journal = MemoryJournal()

            let client = Task { try await server.sql("SELECT pg_sleep(900)", database: "app") }
            while try await server.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'") == "0" {
                try await Task.sleep(for: .milliseconds(50))
            }
            let plan = try await adapter.planRestore(restore)
            #expect(plan.blockers == [])
            #expect(plan.replaces.first?.hasPrefix("database app (10 tables, ") == true, "\(plan.replaces)")
            #expect(plan.creates == ["app__salvor_k3f9qz"])
            #expect(plan.warnings.contains { $0.contains("1 sessions of database 'app'") })
            #expect(!plan.steps.contains { $0.command?.contains(ThrowawayPostgreSQL.password) == true })

            try await adapter.stage(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == changed, "staging touches nothing")
            let facts = try await adapter.verify(restore, journal: journal)
            #expect(facts.filter { !$0.isEqual } == [])
            #expect(facts.count == 27)
            try await adapter.promote(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == wanted)
            #expect((try? await client.value) == nil, "the client's session was ended")
            try await adapter.promote(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == wanted, "promoting again changes nothing")

            try await adapter.rollBack(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == changed)
            try await adapter.rollBack(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == changed, "rolling back again changes nothing")
            #expect(await failure { try await adapter.settle(restore, journal: journal) }?.code == .conflict)

            try await adapter.promote(restore, journal: journal)
            #expect(await failure { try await adapter.abandon(restore, journal: journal) }?.code == .conflict)
            try await adapter.settle(restore, journal: journal)
            try await adapter.settle(restore, journal: journal)
            #expect(try await server.dump("app", ["--create"]) == wanted)
            #expect(try await server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'app%'") == "1")
            #expect(await failure { try await adapter.rollBack(restore, journal: journal) }?.code == .restoreFailed)
        }
    }

    @Test("clients that come back as fast as they can neither hinder a promotion nor find a closed door")
    func busy() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await server.sql("CREATE DATABASE app")
            try await server.sql("CREATE TABLE copy (of text); INSERT INTO copy VALUES ('backup')", database: "app")
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            try await server.sql("UPDATE copy SET of = 'live'", database: "app")
            let adapter = try Fixture.adapter(server)
            let (restore, journal) = (captured.restore(), MemoryJournal())
            try await adapter.stage(restore, journal: journal)
            let seen = Answers()
            let clients = (0..<4).map { _ in
                Task {
                    while !Task.isCancelled {
                        let found: String
                        do { found = try await server.sql("SELECT of FROM copy", database: "app") } catch {
                            found = "\(error)".contains("not currently accepting") ? "closed" : "sent away"
                        }
                        await seen.add(found)
                    }
                }
            }
            while await seen.count["live", default: 0] < 10 { try await Task.sleep(for: .milliseconds(20)) }
            try await adapter.promote(restore, journal: journal)
            while await seen.count["backup", default: 0] < 10 { try await Task.sleep(for: .milliseconds(20)) }
            try await adapter.rollBack(restore, journal: journal)
            for client in clients {
                client.cancel()
                await client.value
            }
            #expect(await seen.count["closed"] == nil)
            #expect(try await server.sql("SELECT of FROM copy", database: "app") == "live")
        }
    }

    @Test("a staged copy that differs is told, and abandoning removes it and the roles it brought")
    func different() async throws {
        try await withServers(15, 15) { servers in
            try await Sample.fill(servers[0])
            let captured = try await Captured(try Fixture.adapter(servers[0], ["databases": Fixture.text("app")]))
            let adapter = try Fixture.adapter(servers[1])
            let restore = captured.restore()
            let journal = MemoryJournal()
            try await adapter.stage(restore, journal: journal)
            #expect(
                try await servers[1].sql("SELECT count(*) FROM pg_roles WHERE rolname IN ('reader', 'app_owner')")
                    == "2")
            try await servers[1].sql(
                "DELETE FROM sales.item WHERE id = 1; SELECT nextval('sales.customer_id_seq'); "
                    + "DROP INDEX public.event_at_idx; CREATE TABLE public.extra (a int)",
                database: "app__salvor_k3f9qz")
            let wrong = try await adapter.verify(restore, journal: journal).filter { !$0.isEqual }.map(\.name)
            #expect(
                wrong == [
                    "app/indexes", "app/public.extra rows", "app/sales.customer_id_seq sequence", "app/sales.item rows",
                    "app/tables",
                ])
            try await adapter.abandon(restore, journal: journal)
            try await adapter.abandon(restore, journal: journal)
            #expect(!journal.notes.contains { $0.contains("is kept") }, "\(journal.notes)")
            #expect(
                try await servers[1].sql(
                    "SELECT (SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database), (SELECT count(*) FROM pg_roles "
                        + "WHERE rolname !~ '^pg_')") == "postgres,template0,template1|1")
        }
    }

    @Test("a role that is there keeps its password and rights when an older bundle is restored")
    func rolesAreLeftAlone() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            try await server.sql("ALTER ROLE app_owner PASSWORD 'changed-since' CREATEDB; REVOKE writer FROM app_owner")
            let query =
                "SELECT rolpassword, rolcreatedb, pg_has_role('app_owner', 'writer', 'MEMBER') FROM pg_authid "
                + "WHERE rolname = 'app_owner'"
            let before = try await server.sql(query)
            try await (try Fixture.adapter(server)).restoreWhole(captured.restore())
            #expect(try await server.sql(query) == before)
        }
    }

    @Test("selectors that match nothing, damaged archives and names in the way leave the server as it was")
    func refusals() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            let adapter = try Fixture.adapter(server)
            let captured = try await Captured(adapter)
            let list = "SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database"
            let before = try await server.sql(list)
            #expect(
                await failure { try await adapter.planRestore(captured.restore(include: ["app", "ap"])) }?.code
                    == .nothingSelected)
            #expect(await failure { try await adapter.planRestore(captured.restore(rename: "x")) }?.code == .usage)

            let archive = try #require(captured.capture.stream("db.app"))
            captured.capture.replace(
                MemoryStream(
                    name: "db.app", kind: .raw, fileName: "db.app.dump", bytes: Array(archive.bytes.dropLast(2000))))
            let journal = MemoryJournal()
            let damaged = await failure {
                try await adapter.stage(captured.restore(include: ["app"]), journal: journal)
            }
            #expect(damaged?.summary.contains("pg_restore") == true)
            try await adapter.abandon(captured.restore(include: ["app"]), journal: journal)
            #expect(try await server.sql(list) == before)

            try await server.sql("CREATE DATABASE app__salvor_k3f9qz")
            let inTheWay = await failure {
                try await adapter.stage(captured.restore(include: ["app"]), journal: MemoryJournal())
            }
            #expect(inTheWay?.code == .restoreBlocked)
            #expect(inTheWay?.summary.contains("'app__salvor_k3f9qz' already") == true)
            #expect(try await server.sql(list) == before + ",app__salvor_k3f9qz", "a foreign database is not dropped")
        }
    }
}
