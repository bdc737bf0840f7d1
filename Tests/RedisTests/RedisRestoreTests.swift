// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Redis

@Suite("Redis restore", .serialized)
struct RedisRestoreTests {
    @Test("brings every value, expiry, function and user back", arguments: ThrowawayRedis.Flavour.allCases)
    func roundTrip(_ flavour: ThrowawayRedis.Flavour) async throws {
        let fixture = try RedisFixture(flavour)
        try RedisFixture.fill(fixture.server, functions: flavour != .redis62)
        let before = try await RedisFixture.content(fixture.server)
        #expect(before.count > 20)
        let copy = try await fixture.capture()

        try fixture.server.cli(
            input: "SELECT 3\nSET other damaged\nSELECT 0\nDEL longlist\nSET intruder 1\nACL DELUSER app\n"
                + (flavour == .redis62 ? "" : "FUNCTION FLUSH\n"))
        try await fixture.restoreFully(copy)

        #expect(try await RedisFixture.content(fixture.server) == before)
        #expect(try fixture.server.cli("ACL", "LIST").contains("user app on"))
        #expect(try fixture.server.cli("INFO", "replication").contains("role:master"))
        #expect(try fixture.server.cli("CONFIG", "GET", "masterauth").trimmingCharacters(in: .newlines) == "masterauth")
        #expect(try fixture.server.cli("SET", "new", "1") == "OK")
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path) == [])
    }

    @Test(
        "survives a kill and a restart, with an append-only file or without",
        arguments: ThrowawayRedis.Flavour.allCases, ["yes", "no"])
    func restart(_ flavour: ThrowawayRedis.Flavour, appendOnly: String) async throws {
        let fixture = try RedisFixture(flavour, options: ["appendonly \(appendOnly)", "save 3600 1"])
        try RedisFixture.fill(fixture.server, functions: false)
        let before = try await RedisFixture.content(fixture.server)
        let copy = try await fixture.capture()
        try fixture.server.cli(input: "FLUSHALL\nSET wrong 1\n")
        try await fixture.restoreFully(copy)
        fixture.server.stop(SIGKILL)
        try fixture.server.start()
        #expect(try await RedisFixture.content(fixture.server) == before)
    }

    @Test("puts the old data, functions and users back", arguments: ThrowawayRedis.Flavour.allCases)
    func rollBack(_ flavour: ThrowawayRedis.Flavour) async throws {
        let fixture = try RedisFixture(flavour, password: "live-pw", options: ["appendonly yes"])
        try RedisFixture.fill(fixture.server, functions: false)
        let copy = try await fixture.capture()
        try fixture.server.cli(input: "FLUSHALL\nSET today 1\nSET tomorrow 2 EX 5000\nACL DELUSER app\n")
        let today = try await RedisFixture.content(fixture.server)
        try await fixture.restoreFully(copy)
        #expect(try await RedisFixture.content(fixture.server) != today)

        try await fixture.adapter().rollBack(try fixture.restore(copy), journal: fixture.journal)
        #expect(try await RedisFixture.content(fixture.server) == today)
        #expect(try !fixture.server.cli("ACL", "LIST").contains("user app on"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.kept("old")) == [])
        fixture.server.stop(SIGKILL)
        try fixture.server.start()
        #expect(try await RedisFixture.content(fixture.server) == today)
    }

    @Test("settling removes the old data, and there is no way back then")
    func settle() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        try await fixture.restoreFully(copy)
        let restore = try fixture.restore(copy)
        #expect(FileManager.default.fileExists(atPath: fixture.kept("old/dump.rdb")))
        try await fixture.adapter().settle(restore, journal: fixture.journal)
        #expect(!FileManager.default.fileExists(atPath: fixture.kept("old/dump.rdb")))
        await #expect(throws: Failure.self) {
            try await fixture.adapter().rollBack(restore, journal: fixture.journal)
        }
    }

    @Test("a live password for masters is used as it is and left as it is")
    func masterPassword() async throws {
        let fixture = try RedisFixture(password: "pw", options: ["masterauth upstream", "masteruser follower"])
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        try fixture.server.cli("SET", "a", "2")
        try await fixture.restoreFully(copy)
        #expect(try fixture.server.cli("GET", "a") == "1")
        #expect(try fixture.server.cli("CONFIG", "GET", "masterauth") == "masterauth\nupstream")
    }

    @Test("killed at any record, a promotion is finished by the next attempt", arguments: 1...4)
    func resume(_ record: Int) async throws {
        let fixture = try RedisFixture(options: ["appendonly yes"])
        try RedisFixture.fill(fixture.server)
        let before = try await RedisFixture.content(fixture.server)
        let copy = try await fixture.capture()
        try fixture.server.cli(input: "FLUSHALL\nACL DELUSER app\nSET wrong 1\n")
        let restore = try fixture.restore(copy)
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        await fixture.journal.dieAtRecord(record)
        await #expect(throws: MortalJournal.Killed.self) {
            try await fixture.adapter().promote(restore, journal: fixture.journal)
        }
        await fixture.journal.dieAtRecord(nil)
        try await fixture.adapter().promote(restore, journal: fixture.journal)
        #expect(try await RedisFixture.content(fixture.server) == before)
        #expect(try fixture.server.cli("INFO", "replication").contains("role:master"))
        #expect(try fixture.server.cli("CONFIG", "GET", "masterauth").trimmingCharacters(in: .newlines) == "masterauth")
    }

    @Test("killed at any record, a promotion can be rolled back", arguments: 1...7)
    func undo(_ record: Int) async throws {
        let fixture = try RedisFixture(options: ["appendonly yes"])
        try RedisFixture.fill(fixture.server)
        let copy = try await fixture.capture()
        try fixture.server.cli(input: "FLUSHALL\nFUNCTION FLUSH\nACL DELUSER app\nSET today 1\n")
        let today = try await RedisFixture.content(fixture.server)
        let restore = try fixture.restore(copy)
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        await fixture.journal.dieAtRecord(record)
        await #expect(throws: MortalJournal.Killed.self) {
            try await fixture.adapter().promote(restore, journal: fixture.journal)
        }
        await fixture.journal.dieAtRecord(nil)
        try await fixture.adapter().rollBack(restore, journal: fixture.journal)
        #expect(try await RedisFixture.content(fixture.server) == today)
        #expect(try fixture.server.cli("INFO", "replication").contains("role:master"))
        #expect(try fixture.server.cli("FUNCTION", "LIST").isEmpty)
        #expect(try !fixture.server.cli("ACL", "LIST").contains("user app on"))
        #expect(try fixture.server.cli("SET", "new", "1") == "OK")
    }

    @Test("a newer server takes an older copy, an older one refuses a newer copy before anything happens")
    func versions() async throws {
        let old = try RedisFixture(.redis62)
        try RedisFixture.fill(old.server, functions: false)
        let new = try RedisFixture(.redis7)
        let fromOld = try await old.capture()
        try await new.restoreFully(fromOld)
        #expect(try new.server.cli("DBSIZE") == old.server.cli("DBSIZE"))

        let valkey = try RedisFixture(.valkey8)
        try valkey.server.cli("SET", "a", "1")
        let fromNew = try await valkey.capture()
        let target = try RedisFixture(.redis62)
        try target.server.cli("SET", "keep", "me")
        let plan = try await target.adapter().planRestore(target.restore(fromNew))
        #expect(plan.blockers.contains { $0.contains("REDIS0011") })
        await #expect(throws: Failure.self) { try await target.restoreFully(fromNew) }
        #expect(try target.server.cli("GET", "keep") == "me")
    }

    @Test("a plan only reads, and names what is replaced")
    func plan() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        var restore = try fixture.restore(copy)
        restore.scratchDirectory = ""
        let plan = try await fixture.adapter().planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.replaces == ["database 0 (1 keys)"])
        #expect(plan.target.contains("Redis 7"))
        #expect(plan.steps.map(\.phase).contains("promote"))
    }

    @Test("refuses a replica, a server with too few databases, and one that would evict")
    func blockers() async throws {
        let source = try RedisFixture()
        try source.server.cli(input: "SELECT 12\nSET a 1\n")
        let copy = try await source.capture()
        let small = try RedisFixture(options: ["databases 4", "maxmemory 100kb", "maxmemory-policy allkeys-lru"])
        let plan = try await small.adapter().planRestore(small.restore(copy))
        #expect(plan.blockers.contains { $0.contains("has 4 databases") })
        #expect(plan.blockers.contains { $0.contains("would be evicted") })
        let replica = try RedisFixture(options: ["replicaof 127.0.0.1 \(source.server.port)"])
        #expect(
            try await replica.adapter().planRestore(replica.restore(copy)).blockers.contains { $0.contains("replica") })
    }

    @Test("a damaged copy is refused while staging, and the live server is not touched", arguments: [0, 1])
    func damaged(_ kind: Int) async throws {
        let fixture = try RedisFixture()
        try RedisFixture.fill(fixture.server)
        let copy = try await fixture.capture()
        var bytes = copy.rdb
        if kind == 0 { bytes.removeLast(bytes.count / 2) } else { bytes[bytes.count / 2] ^= 0x10 }
        copy.capture.replace(MemoryStream(name: "rdb", kind: .raw, fileName: "dump.rdb", bytes: bytes))
        let restore = try fixture.restore(copy)
        await #expect(throws: Failure.self) {
            try await fixture.adapter().stage(restore, journal: fixture.journal)
        }
        #expect(try fixture.server.cli("INFO", "replication").contains("role:master"))
        try await fixture.adapter().abandon(restore, journal: fixture.journal)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path) == [])
    }

    @Test("a key that expires after the capture does not fail the verification")
    func expiring() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli(input: "SET stays 1\nSET goes 1 PX 300\n")
        let copy = try await fixture.capture()
        #expect(copy.report.facts["db0 keys"] == .count(2))
        try await Task.sleep(for: .milliseconds(400))
        try await fixture.restoreFully(copy)
        #expect(try fixture.server.cli("KEYS", "*") == "stays")
    }

    @Test("a scratch server that was killed is started again")
    func lostScratch() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        try fixture.server.cli("SET", "a", "2")
        let restore = try fixture.restore(copy)
        try await fixture.adapter().stage(restore, journal: fixture.journal)
        let pid = try String(contentsOfFile: fixture.scratch("redis.pid"), encoding: .utf8).filter(\.isNumber)
        kill(try #require(pid_t(pid)), SIGKILL)
        #expect(try await fixture.adapter().verify(restore, journal: fixture.journal).allSatisfy(\.isEqual))
        try await fixture.adapter().promote(restore, journal: fixture.journal)
        #expect(try fixture.server.cli("GET", "a") == "1")
    }

    @Test("the documented rights are enough for a restore and its way back")
    func leastRights() async throws {
        let fixture = try RedisFixture()
        try RedisFixture.fill(fixture.server)
        let before = try await RedisFixture.content(fixture.server)
        let copy = try await fixture.capture()
        try fixture.server.cli(input: "FLUSHALL\nACL DELUSER app\n")
        let rights = RedisAdapter.backupCommands + RedisAdapter.restoreCommands
        try fixture.server.cli(input: "ACL SETUSER keeper on >pw \(rights.joined(separator: " "))\n")
        let adapter = try fixture.adapter(user: "keeper", password: "pw")
        try await fixture.restoreFully(copy, adapter)
        #expect(try await RedisFixture.content(fixture.server) == before)
        try await adapter.rollBack(try fixture.restore(copy), journal: fixture.journal)
        #expect(try fixture.server.cli("DBSIZE") == "0")
    }

    @Test("without the rights nothing is changed, and the hint says what to grant")
    func missingRights() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        try fixture.server.cli("SET", "a", "2")
        try fixture.server.cli(
            input: "ACL SETUSER keeper on >pw \(RedisAdapter.backupCommands.joined(separator: " "))\n")
        let adapter = try fixture.adapter(user: "keeper", password: "pw")
        await #expect {
            try await fixture.restoreFully(copy, adapter)
        } throws: { ($0 as? Failure)?.hint?.contains("+replicaof") == true }
        try await adapter.rollBack(try fixture.restore(copy), journal: fixture.journal)
        #expect(try fixture.server.cli("GET", "a") == "2")
        #expect(try fixture.server.cli("SET", "a", "3") == "OK")
    }

    @Test("a server that cannot reach the scratch server keeps its data and becomes a master again")
    func unreachableScratch() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli("SET", "a", "1")
        let copy = try await fixture.capture()
        try fixture.server.cli("SET", "a", "2")
        let restore = try fixture.restore(copy)
        let adapter = try fixture.adapter(timeout: 2)
        try await adapter.stage(restore, journal: fixture.journal)
        let pid = try String(contentsOfFile: fixture.scratch("redis.pid"), encoding: .utf8).filter(\.isNumber)
        await fixture.journal.watch { value in
            // The moment before the live server is turned to it, the scratch server goes away.
            if value["phase"]?.string == "replicating", let number = pid_t(pid) { kill(number, SIGKILL) }
        }
        await #expect(throws: Failure.self) { try await adapter.promote(restore, journal: fixture.journal) }
        await fixture.journal.watch { _ in }
        try await adapter.rollBack(restore, journal: fixture.journal)
        #expect(try fixture.server.cli("GET", "a") == "2")
        #expect(try fixture.server.cli("INFO", "replication").contains("role:master"))
        #expect(try fixture.server.cli("SET", "a", "3") == "OK")
    }
}
