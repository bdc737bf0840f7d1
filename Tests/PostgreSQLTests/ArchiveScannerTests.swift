// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import TestSupport
import Testing
import Transports

@testable import PostgreSQL

@Suite("Archives of pg_dump")
struct ArchiveScannerTests {
    private func scan(_ bytes: some Collection<UInt8>, pieces: Int) throws -> ArchiveScanner {
        var scanner = ArchiveScanner()
        let all = Array(bytes)
        try all.withUnsafeBytes { whole in
            for start in stride(from: 0, to: whole.count, by: pieces) {
                try scanner.take(UnsafeRawBufferPointer(rebasing: whole[start..<min(start + pieces, whole.count)]))
            }
        }
        try scanner.finish()
        return scanner
    }

    @Test("archives of every major are followed to their end, and every cut is found", arguments: [14, 15, 16, 17, 18])
    func cuts(major: Int) async throws {
        try await withServers(major) { servers in
            let server = servers[0]
            try await server.sql(
                """
                CREATE TABLE t (id serial, x text); INSERT INTO t (x) SELECT repeat('x', i) FROM generate_series(1, 300) i;
                CREATE TABLE nothing (a int); SELECT setval('t_id_seq', 4242);
                SELECT lo_from_bytea(77, repeat('ab', 40000)::bytea), lo_from_bytea(78, ''), lo_from_bytea(79, 'x');
                """)
            let program = server.client("pg_dump", "postgres", ["--format=custom", "--compress=0"])
            let bytes = try await LocalTransport().output(of: program)
            for pieces in [1, 7, 4096, 1 << 20] {
                let scanner = try scan(bytes, pieces: pieces)
                #expect(scanner.isKnown)
                #expect(scanner.dumpVersion.hasPrefix("\(major)."))
                #expect(
                    scanner.sequences == [
                        .init(schema: "public", name: "t_id_seq", value: 4242, isCalled: true)
                    ])
            }
            for _ in 0..<150 {
                let length = Int.random(in: 0..<bytes.count)
                #expect(throws: Failure.self, "cut to \(length)") { try scan(bytes[..<length], pieces: 5000) }
            }
            #expect(throws: Failure.self) { try scan(bytes + [1], pieces: 5000) }
            #expect(throws: Failure.self) { try scan(bytes + bytes, pieces: 5000) }
        }
    }

    @Test("what is no archive is refused, what is newer is left to others")
    func strangers() throws {
        #expect(throws: Failure.self) { try scan(Array("SELECT 1; -- a plain dump".utf8), pieces: 100) }
        #expect(throws: Failure.self) { try scan([], pieces: 100) }
        let newer = Array("PGDMP".utf8) + [1, 99, 0, 4, 8, 1] + Array(repeating: UInt8(0), count: 100)
        #expect(try scan(newer, pieces: 10).isKnown == false)
    }
}
