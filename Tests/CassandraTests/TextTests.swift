// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Testing

@testable import Cassandra

@Suite struct TextTests {
    @Test("a CRC-32 is zlib's, for any length and split")
    func checksum() {
        let bytes = (0..<10_001).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var plain: UInt32 = 0xffff_ffff
        for byte in bytes {
            plain ^= UInt32(byte)
            for _ in 0..<8 { plain = plain & 1 == 1 ? (plain >> 1) ^ 0xedb8_8320 : plain >> 1 }
        }
        for cut in [0, 1, 7, 8, 9, 4099, 10_001] {
            var running = RunningCRC32()
            bytes[..<cut].withUnsafeBytes { running.update($0) }
            bytes[cut...].withUnsafeBytes { running.update($0) }
            #expect(running.value == ~plain)
        }
        var known = RunningCRC32()
        Array("123456789".utf8).withUnsafeBytes { known.update($0) }
        #expect(known.value == 0xcbf4_3926)
    }

    @Test(
        "names of components are read, other files are not",
        arguments: [
            ("nb-12-big-Data.db", "nb", "12", "big", "Data.db"), ("md-2-big-TOC.txt", "md", "2", "big", "TOC.txt"),
            (
                "da-3g7k_0s8d_3xyzz2oc4r1c4kbfye-bti-Partitions.db", "da", "3g7k_0s8d_3xyzz2oc4r1c4kbfye", "bti",
                "Partitions.db"
            ),
            ("nb-1-big-SAI+aa+by_mail+TermsData.db", "nb", "1", "big", "SAI+aa+by_mail+TermsData.db"),
        ])
    func names(_ text: String, _ version: String, _ id: String, _ format: String, _ component: String) throws {
        let name = try #require(SSTableName(text))
        #expect(name.version == version && name.id == id && name.format == format && name.component == component)
        #expect(name.with(component: component) == text)
        for other in ["manifest.json", "schema.cql", "nb-1-big", "nb-1-huge-Data.db", "-1-big-Data.db", "a-b"] {
            #expect(SSTableName(other) == nil)
        }
    }

    @Test(
        "files of a newer, a foreign or a skipped release are refused",
        arguments: [
            ("3.11.14", "4.1.3", "big-md", true), ("3.11.14", "3.11.10", "big-me", true),
            ("4.1.3", "3.11.14", "big-nb", false),
            ("4.0.1", "5.0.2", "big-nb", true), ("5.0.2", "4.1.3", "big-oa", false), ("5.0.2", "5.0.0", "bti-da", true),
            ("3.11.14", "5.0.2", "big-md", false), ("4.1.3", "4.0.1", "big-nb", true),
            ("4.1.3", "4.1.3", "bti-bb", false),
        ])
    func releases(_ origin: String, _ target: String, _ layout: String, _ isAllowed: Bool) throws {
        let from = try #require(CassandraRelease(origin, product: .cassandra))
        let to = try #require(CassandraRelease(target, product: .cassandra))
        #expect((to.refusal(of: from, layouts: [layout]) == nil) == isAllowed)
        let other = try #require(CassandraRelease(target, product: .hcd))
        #expect(other.refusal(of: from, layouts: [layout]) != nil)
    }

    @Test("statements are split at their own semicolons only, and comments are left out")
    func statements() {
        let text = """
            CREATE KEYSPACE app WITH replication = {'class': 'x'} AND durable_writes = true; -- no; end
            CREATE TABLE app."Odd;Name" (a text PRIMARY KEY) WITH comment = 'it''s; fine' AND ID = 5b608090-e03d-11eb-b4c1-d335f841c590;
            /* Warning: Table app.old omitted
            CREATE TABLE app.old (a int PRIMARY KEY); */
            CREATE FUNCTION app.f(i int) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ return i; $$;
            CREATE MATERIALIZED VIEW app.v AS SELECT * FROM app.users WHERE a IS NOT NULL PRIMARY KEY (a);
            CREATE CUSTOM INDEX IF NOT EXISTS i ON app.users (name) USING 'StorageAttachedIndex';
            ALTER TABLE app.users DROP old USING TIMESTAMP 12;
            """
        let found = CQLText.statements(text)
        #expect(found.map(\.kind) == [.keyspace, .table, .function, .view, .index, .alteration])
        #expect(found.map(\.name) == ["app", "Odd;Name", "f", "v", "users", "users"])
        #expect(found.allSatisfy { $0.keyspace == "app" })
        #expect(found[1].withoutID.text.contains("WITH comment = 'it''s; fine'"))
        #expect(!found[1].withoutID.text.contains("5b608090"))
    }

    @Test("a schema moves to another keyspace without touching strings and other names")
    func moving() {
        let table = CQLStatement(
            "CREATE TABLE app.app (app text PRIMARY KEY, x frozen<app.kind>) WITH ID = "
                + "5b608090-e03d-11eb-b4c1-d335f841c590\n    AND comment = 'of app.app'")
        let moved = table.moved(from: "app", to: "app__salvor_k3f9").withoutID
        #expect(
            moved.text == "CREATE TABLE app__salvor_k3f9.app (app text PRIMARY KEY, x frozen<app__salvor_k3f9.kind>) "
                + "WITH comment = 'of app.app'")
        #expect(
            CQLStatement("CREATE KEYSPACE app WITH x").moved(from: "app", to: "Up").text
                == "CREATE KEYSPACE \"Up\" WITH x")
        #expect(
            CQLStatement("CREATE TABLE \"App\".t (a int)").moved(from: "App", to: "b").text
                == "CREATE TABLE b.t (a int)")
    }

    @Test("rows are counted against what cqlsh says of them")
    func rows() throws {
        let text = " [json]\n--------\n {\"a\": \"x\"}\n {\"a\": \"q \\\\\"y\"}\n\n(2 rows)\n"
        #expect(try ToolOutput.rows(text).map { $0["a"]?.string } == ["x", "q \"y"])
        #expect(throws: Failure.self) { try ToolOutput.rows(" [json]\n {\"a\": 1}\n\n(2 rows)\n") }
        #expect(throws: Failure.self) { try ToolOutput.rows(" [json]\n {\"a\": 1}\n") }
    }

    @Test("data directories are read from cassandra.yaml, and an odd form is an error")
    func yaml() throws {
        let text = "a: 1\ndata_file_directories:\n- /var/lib/a/data # first\n  - \"/var/lib/b\"\nb:\n  - class: x\n"
        #expect(try NodeConfiguration(text).dataDirectories() == ["/var/lib/a/data", "/var/lib/b"])
        #expect(try NodeConfiguration("data_file_directories: [/a, '/b']\n").dataDirectories() == ["/a", "/b"])
        for odd in ["", "data_file_directories:\n", "data_file_directories: *x\n", "data_file_directories:\n - data\n"]
        {
            #expect(throws: Failure.self) { try NodeConfiguration(odd).dataDirectories() }
        }
    }

    @Test("a schema disagreement and nodes that do not answer are told from agreement")
    func cluster() throws {
        let agreed = """
            Cluster Information:
            \tName: Test Cluster
            \tSchema versions:
            \t\t86afa796-d883-3932-aa73-6b017cef0d19: [127.0.0.1, 127.0.0.2]

            Stats for all nodes:
            \tLive: 2
            """
        #expect(try ToolOutput.clusterDescription(agreed).agreed == "86afa796-d883-3932-aa73-6b017cef0d19")
        let cut = agreed.replacingOccurrences(of: "\n\nStats", with: "\n\n\t\tUNREACHABLE: [127.0.0.3]\n\nStats")
        #expect(try ToolOutput.clusterDescription(cut).agreed == nil)
        #expect(throws: Failure.self) { try ToolOutput.clusterDescription("nothing") }
    }
}
