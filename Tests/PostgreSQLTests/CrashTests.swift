// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import Synchronization
import TestSupport
import Testing
import Transports

/// A transport of a salvor that is killed: after some programs nothing can be started any more, not even to clean up. Or
/// of one that is told to stop then.
final class MortalTransport: Transport {
    struct Killed: Error {}

    private let remaining: Mutex<Int>
    private let stop: Mutex<(@Sendable () -> Void)?>
    private let cancels: Bool

    /// - Parameter cancels: instead of dying, call once what `whenSpent` was given, and go on living.
    init(programs: Int, cancels: Bool = false) {
        remaining = Mutex(programs)
        stop = Mutex(nil)
        self.cancels = cancels
    }

    func whenSpent(_ stop: @escaping @Sendable () -> Void) { self.stop.withLock { $0 = stop } }

    var description: String { "mortal" }
    var reachesLocalFiles: Bool { true }

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        let lives = remaining.withLock { left in
            defer { left -= 1 }
            return left > 0
        }
        if !lives { stop.withLock { $0 }?() }
        guard lives || cancels else { throw Killed() }
        return try await LocalTransport().run(program, body)
    }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 { throw Killed() }
}

@Suite("PostgreSQL restores that are killed")
struct CrashTests {
    private let list = "SELECT string_agg(datname || datallowconn, ',' ORDER BY datname) FROM pg_database"

    /// Two databases, one of them the maintenance database, each with a row that says which copy it is.
    private func prepared(_ server: ThrowawayPostgreSQL) async throws -> Captured {
        try await server.sql("CREATE ROLE app_owner; CREATE DATABASE app OWNER app_owner")
        for database in ["app", "postgres"] {
            try await server.sql("CREATE TABLE copy (of text); INSERT INTO copy VALUES ('backup')", database: database)
        }
        let captured = try await Captured(try Fixture.adapter(server))
        for database in ["app", "postgres"] {
            try await server.sql("UPDATE copy SET of = 'live'", database: database)
        }
        return captured
    }

    private func copies(_ server: ThrowawayPostgreSQL) async throws -> [String] {
        [
            try await server.sql("SELECT of FROM copy", database: "app"),
            try await server.sql("SELECT of FROM copy", database: "postgres"),
        ]
    }

    @Test("killed between any two steps of a promotion, the live databases come back whole, or it is finished")
    func promotion() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            let captured = try await prepared(server)
            let restore = captured.restore()
            let healthy = try Fixture.adapter(server)
            let journal = MemoryJournal()
            try await healthy.stage(restore, journal: journal)
            let staged = try await server.sql(list, database: "template1")
            var steps = 0
            while true {
                let mortal = try Fixture.adapter(server, transport: MortalTransport(programs: steps))
                do {
                    try await mortal.promote(restore, journal: journal)
                    break
                } catch is MortalTransport.Killed {}
                // Nobody has cleaned up yet, and everybody is let in.
                #expect(
                    try await copies(server).allSatisfy { ["live", "backup"].contains($0) }, "after \(steps) programs")
                if steps % 3 == 2 {
                    // Finished by the next attempt.
                    try await healthy.promote(restore, journal: journal)
                    #expect(try await copies(server) == ["backup", "backup"], "after \(steps) programs")
                }
                try await healthy.rollBack(restore, journal: journal)
                #expect(try await copies(server) == ["live", "live"], "after \(steps) programs")
                #expect(try await server.sql(list, database: "template1") == staged, "after \(steps) programs")
                steps += 1
            }
            #expect(steps > 6)
            #expect(try await copies(server) == ["backup", "backup"])
        }
    }

    @Test("cancelled anywhere in a promotion, the live databases are whole and open at once")
    func cancelled() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            let captured = try await prepared(server)
            let restore = captured.restore()
            let journal = MemoryJournal()
            try await (try Fixture.adapter(server)).stage(restore, journal: journal)
            let staged = try await server.sql(list, database: "template1")
            for steps in 1...6 {
                let mortal = MortalTransport(programs: steps, cancels: true)
                let adapter = try Fixture.adapter(server, transport: mortal)
                let promotion = Task { try await adapter.promote(restore, journal: journal) }
                mortal.whenSpent { promotion.cancel() }
                await #expect(throws: (any Error).self) { try await promotion.value }
                #expect(try await copies(server) == ["live", "live"], "after \(steps) programs")
                #expect(try await server.sql(list, database: "template1") == staged, "after \(steps) programs")
            }
        }
    }

    @Test("killed between any two steps of staging, it is resumed or abandoned without a trace")
    func staging() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            let captured = try await prepared(server)
            let restore = captured.restore()
            let healthy = try Fixture.adapter(server)
            let before = try await server.sql(list, database: "template1")
            var steps = 3
            while true {
                let journal = MemoryJournal()
                let mortal = try Fixture.adapter(server, transport: MortalTransport(programs: steps))
                var isDone = false
                do {
                    try await mortal.stage(restore, journal: journal)
                    isDone = true
                } catch is MortalTransport.Killed {}
                if steps % 3 == 0 {
                    try await healthy.stage(restore, journal: journal)
                    #expect(try await healthy.verify(restore, journal: journal).allSatisfy(\.isEqual))
                }
                try await healthy.abandon(restore, journal: journal)
                #expect(try await server.sql(list, database: "template1") == before, "after \(steps) programs")
                if isDone { break }
                steps += 2
            }
            #expect(steps > 10)
            #expect(try await copies(server) == ["live", "live"])
        }
    }

    @Test("a journal that cannot be written stops before the act it was to announce")
    func journals() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            let captured = try await prepared(server)
            let restore = captured.restore()
            let adapter = try Fixture.adapter(server)
            let before = try await server.sql(list, database: "template1")
            for limit in 0..<3 {
                let journal = MemoryJournal(failingAfter: limit)
                await #expect(throws: MemoryJournal.Killed.self) { try await adapter.stage(restore, journal: journal) }
                try await adapter.abandon(restore, journal: MemoryJournal(await journal.recorded))
                #expect(try await server.sql(list, database: "template1") == before)
            }
            let staged = MemoryJournal()
            try await adapter.stage(restore, journal: staged)
            let afterStage = try await server.sql(list, database: "template1")
            for limit in 0..<4 {
                let journal = MemoryJournal(await staged.recorded, failingAfter: limit)
                await #expect(throws: MemoryJournal.Killed.self) {
                    try await adapter.promote(restore, journal: journal)
                }
                try await adapter.rollBack(restore, journal: MemoryJournal(await journal.recorded))
                #expect(try await copies(server) == ["live", "live"])
                #expect(try await server.sql(list, database: "template1") == afterStage)
            }
        }
    }

    @Test("a failure with the second database puts the first one back")
    func secondFails() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            let captured = try await prepared(server)
            let restore = captured.restore()
            let adapter = try Fixture.adapter(server)
            let journal = MemoryJournal()
            try await adapter.stage(restore, journal: journal)
            // A prepared transaction, which no session's end removes, hinders the renaming.
            try await server.sql("BEGIN; UPDATE copy SET of = of; PREPARE TRANSACTION 'open'", database: "postgres")
            let failed = await failure { try await adapter.promote(restore, journal: journal) }
            #expect(failed?.summary.contains("prepared") == true, "\(String(describing: failed))")
            #expect(try await copies(server) == ["live", "live"])
            try await server.sql("ROLLBACK PREPARED 'open'", database: "postgres")
            try await adapter.promote(restore, journal: journal)
            #expect(try await copies(server) == ["backup", "backup"])
        }
    }
}
