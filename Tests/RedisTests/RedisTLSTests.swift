// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Redis

/// A server that speaks nothing but TLS.
@Suite("redis: over TLS")
struct RedisTLSTests {
    private let folder: TemporaryDirectory
    private let certificates: TestCertificates
    private let trusted: [(String, String)]

    init() throws {
        folder = try TemporaryDirectory("redis-tls")
        certificates = try TestCertificates(in: folder.path)
        trusted = [("ca-file", certificates.caFile)]
    }

    private var security: RedisSecurity {
        get throws {
            let node = RedisFixture.mapping([
                ("tls", RedisFixture.mapping(trusted.map { ($0.0, RedisFixture.scalar($0.1)) }))
            ])
            return try #require(try RedisSecurity(try ConfigReader(node, path: "connection", allowed: ["tls"])))
        }
    }

    private func capture(_ adapter: any SourceAdapter) async throws -> RedisFixture.Copy {
        let sink = MemoryCapture()
        return RedisFixture.Copy(report: try await adapter.capture(into: sink), capture: sink)
    }

    @Test("everything comes back, and the server asks its masters for TLS again")
    func roundTrip() async throws {
        let fixture = try RedisFixture(password: "s3cret", certificates: certificates)
        try RedisFixture.fill(fixture.server)
        let before = try await RedisFixture.content(fixture.server, security: try security)
        let adapter = try fixture.adapter(tls: trusted)
        #expect(await adapter.preflight().allSatisfy { $0.state != .failed })
        let copy = try await capture(adapter)
        try fixture.server.cli("FLUSHALL")
        try fixture.server.cli("SET", "newer", "1")
        try await fixture.restoreFully(copy, adapter)
        #expect(try await RedisFixture.content(fixture.server, security: try security) == before)
        #expect(try fixture.server.cli("CONFIG", "GET", "tls-replication").hasSuffix("yes"))
        try await adapter.rollBack(try fixture.restore(copy).place, journal: fixture.journal)
        #expect(try fixture.server.cli("GET", "newer") == "1")
        #expect(try fixture.server.cli("CONFIG", "GET", "tls-replication").hasSuffix("yes"))
    }

    @Test("killed at any record, the way back leaves the server asking for TLS", arguments: 1...5)
    func killed(_ record: Int) async throws {
        let fixture = try RedisFixture(certificates: certificates)
        try fixture.server.cli("SET", "kept", "1")
        let adapter = try fixture.adapter(tls: trusted)
        let copy = try await capture(adapter)
        try fixture.server.cli("SET", "newer", "1")
        let restore = try fixture.restore(copy)
        try await adapter.stage(restore, journal: fixture.journal)
        await fixture.journal.dieAtRecord(record)
        await #expect(throws: MortalJournal.Killed.self) {
            try await adapter.promote(restore, journal: fixture.journal)
        }
        await fixture.journal.dieAtRecord(nil)
        try await adapter.rollBack(restore.place, journal: fixture.journal)
        #expect(try fixture.server.cli("GET", "newer") == "1")
        #expect(try fixture.server.cli("CONFIG", "GET", "tls-replication").hasSuffix("yes"))
    }

    @Test("an authority, a name or a protocol that is wrong, and a missing certificate of one's own")
    func refusals() async throws {
        let other = try TemporaryDirectory("redis-tls-other")
        let stranger = try TestCertificates(in: other.path)
        let strict = try RedisFixture(certificates: certificates, options: ["tls-auth-clients yes"])
        let fixture = try RedisFixture(certificates: certificates)
        let plain = try RedisFixture()
        for (fixture, tls, words) in [
            (fixture, [("ca-file", stranger.caFile)], "certificate"),
            (fixture, trusted + [("server-name", "cache.example.com")], "cache.example.com"),
            (fixture, [("ca-file", folder("nothing"))], "nothing"),
            (plain, trusted, "no TLS with the server"),
        ] {
            let failed = await thrownFailure { _ = try await capture(try fixture.adapter(timeout: 5, tls: tls)) }
            #expect(
                failed?.code == .sourceUnreachable && failed?.summary.contains(words) == true,
                "\(words): \(String(describing: failed))")
            #expect(failed?.hint?.contains("connection.tls") == true)
        }
        // TLS 1.3 refuses a client without a certificate after the handshake.
        let refused = await thrownFailure { _ = try await capture(try strict.adapter(timeout: 5, tls: trusted)) }
        #expect(refused?.code == .sourceUnreachable)
        let own = [("certificate-file", certificates.certificateFile), ("key-file", certificates.keyFile)]
        #expect(try await !capture(try strict.adapter(tls: trusted + own)).rdb.isEmpty)
        let plainly = await thrownFailure { _ = try await capture(try fixture.adapter(timeout: 5)) }
        #expect(plainly?.code == .sourceUnreachable)
    }
}
