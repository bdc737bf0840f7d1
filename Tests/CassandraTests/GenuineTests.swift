// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@testable import Cassandra

/// SSTables that a real 3.11 wrote, where there are some: `SALVOR_TEST_SSTABLES` names a data directory with the table
/// `baselines.iot` of the public repository datastax/sstable-to-arrow.
@Suite struct GenuineTests {
    private static let tables = ProcessInfo.processInfo.environment["SALVOR_TEST_SSTABLES"]

    @Test("genuine SSTables pass the checks as they are, and one flipped bit does not", .enabled(if: tables != nil))
    func genuine() async throws {
        let fixture = try RingFixture {
            $0.release = "3.11.10"
            $0.layout = ["md", "big"]
            $0.dataDirectories = 1
        }
        let source = try #require(Self.tables)
        let table = "iot-5b608090e03d11ebb4c1d335f841c590"
        try fixture.ring.cql(
            "CREATE KEYSPACE baselines WITH replication = {'replication_factor': '1'}; "
                + "CREATE TABLE baselines.iot (machine_id uuid PRIMARY KEY, data text) "
                + "WITH ID = 5b608090-e03d-11eb-b4c1-d335f841c590;")
        // What nodetool snapshot makes of these files, beside the double, which cannot read them.
        let frozen = try await fixture.adapter().freezeRing()
        let folder = "\(fixture.ring.data("node1"))/baselines/\(table)/snapshots/\(frozen.tag)"
        for name in try FileManager.default.contentsOfDirectory(atPath: "\(source)/baselines/\(table)")
        where name.hasPrefix("md-") {
            try FileManager.default.copyItem(
                atPath: "\(source)/baselines/\(table)/\(name)", toPath: "\(folder)/\(name)")
        }
        try #"{"files":["md-2-big-Data.db"]}"#.write(
            toFile: "\(folder)/manifest.json", atomically: false, encoding: .utf8)
        let statement = try ShortCommand.run(
            "sh", ["-c", "cat \"$0\"/baselines/\(table)/snapshots/*/schema.cql", source])
        try statement.write(toFile: "\(folder)/schema.cql", atomically: false, encoding: .utf8)

        let sink = MemoryCapture()
        let report = try await frozen.capture(into: sink)
        #expect(report.facts["baselines.iot sstables"] == .count(1))
        #expect(report.facts["baselines.iot data bytes"] == .count(1_097_150))
        let record = try CassandraRecord(report.restoreData)
        #expect(record.tables.first { $0.name == "iot" }?.digests["node1"] == "2788285948")
        // Its own schema.cql has what this release's DESCRIBE has not.
        let table0 = try #require(record.statement(.table, "baselines", "iot"))
        #expect(table0.text.contains("WITH ID = 5b608090-e03d-11eb-b4c1-d335f841c590"))
        #expect(table0.withoutID.text.contains("WITH CLUSTERING ORDER BY (time DESC)"))

        try ShortCommand.run("chmod", ["u+w", "\(folder)/md-2-big-Data.db"])
        let handle = try #require(FileHandle(forUpdatingAtPath: "\(folder)/md-2-big-Data.db"))
        try handle.seek(toOffset: 500_000)
        let byte = try #require(try handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: 500_000)
        try handle.write(contentsOf: Data([byte ^ 4]))
        try handle.close()
        let damaged = try await failure { try await frozen.capture(into: MemoryCapture()) }
        #expect(damaged.summary.contains("Digest.crc32 says 2788285948"))
        try await frozen.release()
    }
}
