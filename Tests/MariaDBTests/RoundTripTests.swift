// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@Suite("MariaDB: there and back")
struct RoundTripTests {
    @Test("everything comes back as it was: rows, definitions, views, triggers, routines, events, sequences, accounts")
    func everything() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server)
            let checks = await adapter.preflight()
            #expect(checks.allSatisfy { $0.state != .failed }, "\(checks)")
            #expect(checks.contains { $0.name == "engines" && $0.detail.contains("app.log") })
            let captured = try await CapturedSource(adapter)
            #expect(captured.report.engine.hasPrefix("MariaDB 10."))
            #expect(captured.report.position?.contains("app bin.0") == true, "\(captured.report.position ?? "-")")
            #expect(captured.report.facts["app.orders rows"] == .count(500))
            #expect(captured.report.facts["app.customers rows"] == .count(3))
            #expect(captured.report.facts["odd-näme.alt rows"] == .count(2))
            #expect(captured.report.notices.contains { $0.contains("'app'") && $0.contains("log") })
            let (app, odd) = (
                try await MariaDBFixture.describe(server), try await MariaDBFixture.describe(server, "odd-näme")
            )
            // What the disaster leaves: other rows, a table too many, programs and accounts gone.
            try await server.sql(
                """
                USE app; DELETE FROM orders WHERE id > 10; CREATE TABLE intruder(x INT); DROP VIEW richer; DROP EVENT tidy;
                DROP TRIGGER counting; DROP PROCEDURE report; ALTER TABLE customers ADD COLUMN extra INT;
                CREATE TRIGGER other AFTER DELETE ON loose FOR EACH ROW SET @x = 1; DROP TABLE parts;
                DROP USER app@'%'; DROP ROLE readers; UPDATE `odd-näme`.alt SET word = 'x';
                ALTER DATABASE app CHARACTER SET latin1;
                """)
            let broken = try await MariaDBFixture.describe(server)
            let journal = MemoryJournal()
            let restore = captured.restore()
            let plan = try await adapter.planRestore(restore)
            #expect(plan.blockers == [])
            #expect(plan.replaces.contains { $0.hasPrefix("database app (") })
            try await adapter.restoreWhole(restore, journal: journal)
            #expect(try await MariaDBFixture.describe(server) == app)
            #expect(try await MariaDBFixture.describe(server, "odd-näme") == odd)
            #expect(try await server.sql("SHOW GRANTS FOR app@'%'").contains("ALL PRIVILEGES ON `app`.*"))
            #expect(try await server.sql("SELECT COUNT(*) FROM app.richer") == "2")

            try await adapter.rollBack(restore.place, journal: journal)
            #expect(try await MariaDBFixture.describe(server) == broken)
            #expect(try await server.sql("SELECT COUNT(*) FROM mysql.user WHERE User IN ('app', 'readers')") == "0")
            // Forward once more, then for good.
            try await adapter.promote(restore, journal: journal)
            #expect(try await MariaDBFixture.describe(server) == app)
            try await adapter.settle(restore.place, journal: journal)
            #expect(try await MariaDBFixture.databases(server) == ["app", "odd-näme"])
            #expect(try await server.sql("SELECT NEXT VALUE FOR app.numbers > 100") == "1")
            let late = await thrownFailure { try await adapter.rollBack(restore.place, journal: journal) }
            #expect(late?.summary.contains("settled") == true)
        }
    }

    @Test("the same data gives the same bytes on another night, and the password is in no argument")
    func deterministic() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let spy = SpyTransport()
            let adapter = try MariaDBFixture.adapter(server, transport: spy)
            let first = try await CapturedSource(adapter)
            let second = try await CapturedSource(adapter)
            #expect(first.capture.streams.map(\.name) == second.capture.streams.map(\.name))
            for stream in first.capture.streams {
                #expect(first.capture.bytes(stream.name) == second.capture.bytes(stream.name), "\(stream.name)")
            }
            #expect(spy.words.contains("--order-by-primary"))
            #expect(!spy.words.contains { $0.contains(ThrowawayMariaDB.password) })
        }
    }

    @Test("one database goes to a server that has none of it, under another name")
    func elsewhere() async throws {
        let captured = try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            return try await CapturedSource(try MariaDBFixture.adapter(server))
        }
        try await withMariaDB { server in
            let adapter = try MariaDBFixture.adapter(server)
            let journal = MemoryJournal()
            let restore = captured.restore(include: ["odd-n*"], rename: "other")
            try await adapter.restoreWhole(restore, journal: journal)
            #expect(try await server.sql("SELECT word FROM other.alt ORDER BY word") == "été\nGrüße")
            try await adapter.rollBack(restore.place, journal: journal)
            #expect(try await MariaDBFixture.databases(server) == ["other__salvor_k3f9qz"])
            let nothing = await thrownFailure {
                try await adapter.planRestore(captured.restore(include: ["absent"]))
            }
            #expect(nothing?.code == .nothingSelected)
        }
    }

    @Test("everything goes to a fresh server, accounts and definers first")
    func fresh() async throws {
        let (captured, app) = try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let app = try await MariaDBFixture.describe(server)
            return (try await CapturedSource(try MariaDBFixture.adapter(server)), app)
        }
        try await withMariaDB { server in
            try await (try MariaDBFixture.adapter(server)).restoreWhole(captured.restore())
            #expect(try await MariaDBFixture.describe(server) == app)
            #expect(try await server.sql("SHOW GRANTS FOR app@'%'").contains("`readers`"))
        }
    }

    @Test("a stock client restores the streams by hand")
    func byHand() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let captured = try await CapturedSource(try MariaDBFixture.adapter(server))
            let app = try await MariaDBFixture.describe(server)
            try await server.sql("DROP DATABASE app; CREATE DATABASE app CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
            for stream in ["db.app", "programs.app", "events.app"] {
                let text = String(decoding: captured.capture.bytes(stream) ?? [], as: UTF8.self)
                #expect(text.contains("-- Dump completed"))
                try await server.sql(text, database: "app")
            }
            #expect(try await MariaDBFixture.describe(server) == app)
        }
    }
}
