// SPDX-License-Identifier: Apache-2.0
import Domain
import TestSupport
import Testing

@Suite("MariaDB: killed on the way")
struct CrashTests {
    private static func live(_ server: ThrowawayMariaDB) async throws -> String {
        try await server.sql("UPDATE app.orders SET total = -1; DROP TRIGGER app.counting; DROP VIEW app.richer")
        return try await MariaDBFixture.describe(server)
    }

    @Test("killed before any program of a promotion, it is finished or undone, and nothing is lost")
    func promotion() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let healthy = try MariaDBFixture.adapter(server)
            let captured = try await CapturedSource(healthy)
            let backup = try await MariaDBFixture.describe(server)
            let live = try await Self.live(server)
            let restore = captured.restore(include: ["app"])
            let journal = MemoryJournal()
            try await healthy.stage(restore, journal: journal)
            var programs = 0
            while true {
                let mortal = try MariaDBFixture.adapter(server, transport: MortalTransport(programs: programs))
                do {
                    try await mortal.promote(restore, journal: journal)
                    break
                } catch is MortalTransport.Killed {}
                if programs % 3 == 1 {
                    try await healthy.promote(restore, journal: journal)
                    #expect(try await MariaDBFixture.describe(server) == backup, "after \(programs) programs")
                }
                try await healthy.rollBack(restore.place, journal: journal)
                #expect(try await MariaDBFixture.describe(server) == live, "after \(programs) programs")
                // At first it only reads.
                programs += programs < 12 ? 4 : 1
            }
            #expect(programs > 10)
            #expect(try await MariaDBFixture.describe(server) == backup)
            // The same on the way back.
            for programs in stride(from: 0, to: 12, by: 2) {
                let mortal = try MariaDBFixture.adapter(server, transport: MortalTransport(programs: programs))
                do { try await mortal.rollBack(restore.place, journal: journal) } catch is MortalTransport.Killed {}
                try await healthy.rollBack(restore.place, journal: journal)
                #expect(try await MariaDBFixture.describe(server) == live, "after \(programs) programs back")
                try await healthy.promote(restore, journal: journal)
                #expect(try await MariaDBFixture.describe(server) == backup)
            }
            try await healthy.settle(restore.place, journal: journal)
            #expect(try await MariaDBFixture.databases(server) == ["app", "odd-näme"])
        }
    }

    @Test("killed anywhere in a stage or at a record of the journal, it is resumed or abandoned without a trace")
    func staging() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let healthy = try MariaDBFixture.adapter(server)
            let captured = try await CapturedSource(healthy)
            let live = try await Self.live(server)
            let before = try await MariaDBFixture.databases(server)
            let restore = captured.restore()
            for programs in stride(from: 4, to: 20, by: 3) {
                let journal = MemoryJournal()
                let mortal = try MariaDBFixture.adapter(server, transport: MortalTransport(programs: programs))
                do { try await mortal.stage(restore, journal: journal) } catch is MortalTransport.Killed {}
                if programs % 2 == 0 { try await healthy.stage(restore, journal: journal) }
                try await healthy.abandon(restore.place, journal: journal)
                #expect(try await MariaDBFixture.databases(server) == before, "after \(programs) programs")
            }
            for limit in 0..<3 {
                let journal = MemoryJournal(failingAfter: limit)
                await #expect(throws: MemoryJournal.Killed.self) { try await healthy.stage(restore, journal: journal) }
                let later = MemoryJournal(await journal.recorded)
                try await healthy.stage(restore, journal: later)
                try await healthy.abandon(restore.place, journal: later)
                #expect(try await MariaDBFixture.databases(server) == before)
            }
            let staged = MemoryJournal()
            try await healthy.stage(restore, journal: staged)
            for limit in 0..<4 {
                let journal = MemoryJournal(await staged.recorded, failingAfter: limit)
                await #expect(throws: (any Error).self) { try await healthy.promote(restore, journal: journal) }
                try await healthy.rollBack(restore.place, journal: MemoryJournal(await journal.recorded))
                #expect(try await MariaDBFixture.describe(server) == live, "at record \(limit)")
            }
        }
    }

    @Test("an open transaction holds the promotion up for the lock timeout, and the old state is put back")
    func held() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server, ["lock-timeout": AdapterSettings.text("1")])
            let captured = try await CapturedSource(adapter)
            let live = try await Self.live(server)
            let restore = captured.restore(include: ["app"])
            let journal = MemoryJournal()
            try await adapter.stage(restore, journal: journal)
            let holding = Task {
                try await server.sql("BEGIN; SELECT COUNT(*) FROM app.orders; DO SLEEP(8); ROLLBACK")
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while try await server.sql(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%'")
                != "1", ContinuousClock.now < deadline
            { try await Task.sleep(for: .milliseconds(20)) }
            let failed = await thrownFailure { try await adapter.promote(restore, journal: journal) }
            #expect(failed?.hint?.contains("lock") == true, "\(String(describing: failed))")
            _ = try await holding.value
            try await adapter.rollBack(restore.place, journal: journal)
            #expect(try await MariaDBFixture.describe(server) == live)
            try await adapter.promote(restore, journal: journal)
            #expect(try await server.sql("SELECT COUNT(*) FROM app.orders WHERE total = -1") == "0")
        }
    }
}
