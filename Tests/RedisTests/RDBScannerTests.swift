// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import TestSupport
import Testing

@testable import Redis

@Suite("RDB scanner")
struct RDBScannerTests {
    /// Scans bytes that arrive in pieces of a given size.
    private func scan(_ bytes: [UInt8], piece: Int = 1000) throws -> RDBSummary {
        var position = 0
        return try RDBScanner.scan(
            RDBInput(
                next: {
                    guard position < bytes.count else { return nil }
                    defer { position = min(position + piece, bytes.count) }
                    return Array(bytes[position..<min(position + piece, bytes.count)])
                }, forward: { _ in }))
    }

    @Test("the checksum is the one of the format")
    func checksum() {
        var sum = RDBChecksum()
        Array("1234".utf8).withUnsafeBytes { sum.update($0) }
        Array("56789".utf8).withUnsafeBytes { sum.update($0) }
        #expect(sum.value == 0xe9c6_d914_c4b8_d9ca)
        var long = RDBChecksum()
        Array(repeating: UInt8(7), count: 1003).withUnsafeBytes { long.update($0) }
        var single = RDBChecksum()
        for _ in 0..<1003 { [UInt8(7)].withUnsafeBytes { single.update($0) } }
        #expect(long.value == single.value)
    }

    @Test("a copy cut anywhere, or with a byte changed anywhere, is refused")
    func everyByte() async throws {
        let fixture = try RedisFixture()
        try fixture.server.cli(
            input:
                "SET a 1\nSET b hello PX 900000\nHSET h x 1 y 2\nXADD s 1-1 f v\nXGROUP CREATE s g 0\nSELECT 4\nRPUSH l 1 2\n"
        )
        let rdb = try await fixture.capture().rdb
        #expect(try scan(rdb).databases[4]?.keys == 1)
        #expect(try scan(rdb, piece: 1) == scan(rdb))
        for length in 0..<rdb.count {
            #expect(throws: Failure.self, "cut at \(length)") { try scan(Array(rdb[..<length])) }
        }
        for position in 0..<rdb.count {
            var damaged = rdb
            damaged[position] ^= 0x40
            #expect(throws: Failure.self, "changed at \(position)") { try scan(damaged) }
        }
        #expect(throws: Failure.self) { try scan(rdb + [10]) }
    }

    @Test("after something unknown the end and the checksum still count")
    func unknown() async throws {
        var bytes = Array("REDIS0012".utf8) + [0xFE, 0, 26, 1, 65] + [UInt8](repeating: 3, count: 5000) + [0xFF]
        var sum = RDBChecksum()
        bytes.withUnsafeBytes { sum.update($0) }
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: sum.value >> ($0 * 8)) }
        for piece in [1, 7, 1000, 100_000] {
            #expect(try scan(bytes, piece: piece).unknown == "value type 26")
        }
        #expect(throws: Failure.self) { try scan(Array(bytes.dropLast())) }
        bytes[300] ^= 1
        #expect(throws: Failure.self) { try scan(bytes) }
    }

    @Test("hashes whose fields expire are counted", arguments: [24, 25])
    func fieldExpiry(type: Int) throws {
        let value: [UInt8] =
            type == 24
            ? [UInt8](repeating: 0, count: 8) + [1, 0, 1, 70, 1, 86] : [UInt8](repeating: 0, count: 8) + [2, 1, 2]
        let bytes =
            Array("REDIS0012".utf8) + [0xFE, 1, UInt8(type), 1, 72] + value + [0xFF] + [UInt8](repeating: 0, count: 8)
        let summary = try scan(bytes)
        #expect(summary.unknown == nil)
        #expect(summary.databases == [1: RedisInfo.Keyspace(keys: 1, expires: 0)])
        #expect(!summary.hasChecksum)
    }

    @Test("formats are compared as the servers do")
    func versions() {
        let redis7 = RDBVersion(.redis, 10)
        #expect(redis7.loads(RDBVersion(.redis, 9)))
        #expect(!redis7.loads(RDBVersion(.redis, 11)))
        #expect(!RDBVersion(.valkey, 80).loads(RDBVersion(.redis, 12)))
        #expect(RDBVersion(.valkey, 80).loads(RDBVersion(.redis, 11)))
        #expect(!RDBVersion(.redis, 12).loads(RDBVersion(.valkey, 80)))
        #expect(RDBVersion(magic: Array("VALKEY080".utf8))?.description == "VALKEY080")
        #expect(RDBVersion(magic: Array("REDIS00X0".utf8)) == nil)
    }

    @Test("a refusal that repeats arguments does not tell them")
    func redaction() {
        let refusal = RespRefusal(
            command: "CONFIG", message: "ERR unknown command 'CONFIG', with args beginning with: 'SET' 's3cret'")
        #expect(!refusal.description.contains("s3cret"))
    }
}
