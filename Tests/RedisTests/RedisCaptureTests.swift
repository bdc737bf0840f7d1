// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Redis

@Suite("Redis capture", .serialized)
struct RedisCaptureTests {
    @Test("counts what the server holds, for every kind of value", arguments: ThrowawayRedis.Flavour.allCases)
    func counts(_ flavour: ThrowawayRedis.Flavour) async throws {
        let fixture = try RedisFixture(flavour)
        try RedisFixture.fill(fixture.server, functions: flavour != .redis62)
        let copy = try await fixture.capture()
        let facts = copy.report.facts
        #expect(facts["db0 keys"] == .count(Int64(try fixture.server.cli("DBSIZE").filter(\.isNumber)) ?? -1))
        #expect(facts["db0 keys with expiry"] == .count(3))
        #expect(facts["db3 keys"] == .count(2))
        #expect(facts["db15 keys"] == .count(1))
        #expect((facts["function library mylib sha256"] != nil) == (flavour != .redis62))
        #expect(copy.report.notices.isEmpty)
        #expect(copy.report.position?.contains(":") == true)
        #expect(copy.report.restoreData["databases"] == .integer(16))
    }

    @Test("the copy passes the server's own check and carries nothing of the wire", arguments: ["yes", "no"])
    func ownCheck(diskless: String) async throws {
        let fixture = try RedisFixture(options: ["repl-diskless-sync \(diskless)"])
        try RedisFixture.fill(fixture.server)
        let copy = try await fixture.capture()
        #expect(Array(copy.rdb.prefix(5)) == Array("REDIS".utf8))
        #expect(copy.rdb[copy.rdb.count - 9] == 0xFF)
        let folder = try TemporaryDirectory()
        try Data(copy.rdb).write(to: URL(fileURLWithPath: folder("dump.rdb")))
        let check = Process()
        check.executableURL = URL(fileURLWithPath: "/usr/bin/redis-check-rdb")
        check.arguments = [folder("dump.rdb")]
        check.standardOutput = FileHandle.nullDevice
        try check.start()
        check.waitUntilExit()
        #expect(check.terminationStatus == 0)
    }

    @Test("is one moment's state although a client goes on writing")
    func underWrites() async throws {
        let fixture = try RedisFixture()
        // Each transaction adds one key to both databases, so a copy of one moment has as many here as there.
        let writer = Task {
            for round in 0..<200 where !Task.isCancelled {
                let lines = (0..<10).map {
                    "MULTI\nSELECT 0\nSET k\(round)-\($0) 1\nSELECT 1\nSET k\(round)-\($0) 1\nEXEC\n"
                }
                try fixture.server.cli(input: lines.joined())
            }
        }
        for _ in 0..<5 {
            let facts = try await fixture.capture().report.facts
            #expect(facts["db0 keys"] == facts["db1 keys"])
        }
        writer.cancel()
        try await writer.value
    }

    @Test("keeps secrets out of the configuration and takes the access rules")
    func secrets() async throws {
        let fixture = try RedisFixture(password: "s3cret-word", options: ["masterauth other-s3cret"])
        try RedisFixture.fill(fixture.server)
        let copy = try await fixture.capture()
        let configuration = String(decoding: copy.capture.bytes("config") ?? [], as: UTF8.self)
        #expect(configuration.contains("\"maxmemory\""))
        #expect(!configuration.contains("s3cret"))
        let rules = String(decoding: copy.capture.bytes("acl") ?? [], as: UTF8.self)
        #expect(rules.contains("user app on #"))
    }

    @Test("a wrong password is a clear refusal that does not tell the password")
    func wrongPassword() async throws {
        let fixture = try RedisFixture(password: "right-one")
        let adapter = try fixture.adapter(password: "wrong-one")
        let checks = await adapter.preflight()
        #expect(checks.first?.state == .failed)
        #expect(checks.first?.code == Failure.Code.sourceDenied.text)
        await #expect {
            _ = try await adapter.capture(into: MemoryCapture())
        } throws: { error in
            (error as? Failure)?.code == .sourceDenied && !"\(error)".contains("wrong-one")
        }
    }

    @Test("a user without the right to SYNC fails in preflight with the command that mends it")
    func missingRight() async throws {
        let fixture = try RedisFixture()
        let port = fixture.server.port
        try fixture.server.cli(
            "ACL", "SETUSER", "backup", "on", ">pw", "+replconf", "+info", "+acl|whoami", "+acl|dryrun")
        let adapter = try fixture.adapter(port: port, user: "backup", password: "pw")
        let failed = await adapter.preflight().first { $0.state == .failed }
        let remedy = try #require(failed?.remedy)
        await #expect {
            _ = try await adapter.capture(into: MemoryCapture())
        } throws: { ($0 as? Failure)?.code == .sourceDenied }

        try fixture.server.cli(input: remedy.replacingOccurrences(of: "PASSWORD", with: "pw") + "\n")
        let checks = await adapter.preflight()
        #expect(checks.allSatisfy { $0.state == .ok })
        let copy = try await adapter.capture(into: MemoryCapture())
        #expect(copy.notices.isEmpty)
    }

    @Test("the documented least rights are enough", arguments: ThrowawayRedis.Flavour.allCases)
    func leastRights(_ flavour: ThrowawayRedis.Flavour) async throws {
        let fixture = try RedisFixture(flavour)
        try fixture.server.cli("SET", "a", "1")
        var words = ["ACL", "SETUSER", "backup", "on", ">pw"]
        // 6.2 lets a right name a subcommand only if the command has it.
        words += RedisAdapter.backupCommands.filter { flavour != .redis62 || $0 != "+acl|dryrun" }
        try fixture.server.cli(input: words.joined(separator: " ") + "\n")
        let adapter = try fixture.adapter(user: "backup", password: "pw")
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let report = try await adapter.capture(into: MemoryCapture())
        #expect(report.facts["db0 keys"] == .count(1))
        #expect(report.notices.isEmpty)
    }

    @Test("an unreachable server is a failed check, not a crash")
    func unreachable() async throws {
        let fixture = try RedisFixture()
        let adapter = try fixture.adapter(port: 1)
        let checks = await adapter.preflight()
        #expect(checks.map(\.state) == [.failed])
        #expect(checks.first?.code == Failure.Code.sourceUnreachable.text)
    }

    @Test("an empty server gives a copy without keys")
    func empty() async throws {
        let fixture = try RedisFixture()
        let copy = try await fixture.capture()
        #expect(copy.report.facts.values.keys.sorted() == ["rdb format"])
        #expect(copy.rdb.count > 18)
    }

    @Test("a mistyped setting is refused with its place and the right name")
    func settings() throws {
        let node = RedisFixture.mapping([("conection", RedisFixture.mapping([]))])
        let source = SourceSettings(
            name: "cache", adapter: "redis", transport: .local, settings: node, mark: RedisFixture.mark)
        #expect {
            _ = try RedisSettings(node, source: source.name)
        } throws: { ($0 as? Failure)?.hint == "Did you mean 'connection'?" }
    }

    @Test("a connection that ends in the middle is a failure, never a short copy", arguments: ["yes", "no"])
    func cut(diskless: String) async throws {
        let fixture = try RedisFixture(options: ["repl-diskless-sync \(diskless)", "rdbcompression no"])
        try RedisFixture.fill(fixture.server)
        let proxy = try ShortServer(target: fixture.server.port, limit: 150_000)
        await #expect {
            _ = try await fixture.adapter(port: proxy.port).capture(into: MemoryCapture())
        } throws: { error in
            let failure = error as? Failure
            return failure?.code == .sourceFailed && failure?.summary.contains("closed the connection") == true
        }
    }

    @Test("a cancelled capture ends at once")
    func cancelled() async throws {
        let fixture = try RedisFixture(options: ["repl-diskless-sync-delay 30"])
        let adapter = try fixture.adapter()
        let task = Task { try await adapter.capture(into: MemoryCapture()) }
        // The server waits half a minute before it forks.
        for _ in 0..<200 where try !fixture.server.cli("INFO", "replication").contains("connected_slaves:1") {
            try await Task.sleep(for: .milliseconds(20))
        }
        let elapsed = await ContinuousClock().measure {
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
        }
        #expect(elapsed < .seconds(20))
    }
}
