// SPDX-License-Identifier: Apache-2.0
import Domain
import Testing

@testable import PostgreSQL

@Suite("PostgreSQL texts")
struct TextTests {
    @Test("literals and identifiers survive any character")
    func quoting() {
        #expect(SQLText.identifier("a\"b") == "\"a\"\"b\"")
        #expect(SQLText.literal("it's") == "'it''s'")
        #expect(SQLText.literal(#"a\'b"#) == #"E'a\\''b'"#)
        #expect(SQLText.parameter("myapp.tenant") == "\"myapp\".\"tenant\"")
    }

    @Test("parameters that hold names are given as a list, others as one literal")
    func lists() {
        #expect(
            SQLText.value(of: "search_path", #""$user", sales, "odd ""schema", "a,b", """x""#)
                == #"'$user', 'sales', 'odd "schema', 'a,b', '"x'"#)
        #expect(SQLText.value(of: "search_path", #""""#) == "''")
        #expect(SQLText.value(of: "DateStyle", "ISO, MDY") == "'ISO, MDY'")
        #expect(SQLText.value(of: "search_path", "public; DROP DATABASE x") == "'public;DROPDATABASEx'")
    }

    private static let globals = #"""
        --
        -- PostgreSQL database cluster dump
        --

        \restrict abc123

        SET default_transaction_read_only = off;
        CREATE ROLE app;
        ALTER ROLE app WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:x;y';
        COMMENT ON ROLE app IS 'one
        \unrestrict abc123
        -- two; it''s';
        CREATE ROLE "we;ird ""x""";
        ALTER ROLE "we;ird ""x""" WITH NOLOGIN;
        ALTER ROLE postgres WITH SUPERUSER PASSWORD 'old';
        CREATE TABLESPACE fast OWNER app LOCATION '/fast';
        GRANT CREATE ON TABLESPACE fast TO app;
        GRANT SET ON PARAMETER work_mem TO app;
        GRANT "we;ird ""x""" TO app WITH ADMIN OPTION GRANTED BY postgres;
        GRANT monitoring TO postgres;


        \unrestrict abc123

        --
        -- PostgreSQL database cluster dump complete
        --


        """#

    @Test("the random key goes, and a text that only looks like it stays")
    func restrict() throws {
        let text = String(decoding: try GlobalsText.normalized(Array(Self.globals.utf8)), as: UTF8.self)
        #expect(!text.contains("\\restrict"))
        #expect(text.split(separator: "\n").filter { $0 == "\\unrestrict abc123" }.count == 1)
        #expect(throws: Failure.self) { try GlobalsText.normalized(Array(Self.globals.utf8.dropLast(60))) }
    }

    @Test("only statements for missing roles are replayed")
    func missing() throws {
        let text = String(decoding: try GlobalsText.normalized(Array(Self.globals.utf8)), as: UTF8.self)
        #expect(try GlobalsText.roles(text) == ["app", "we;ird \"x\""])
        let all = try GlobalsText.statements(text, creating: ["app", "we;ird \"x\""])
        #expect(all.count == 7)
        #expect(
            !all.contains { $0.contains("postgres WITH") || $0.contains("TABLESPACE") || $0.contains("monitoring") })
        let one = try GlobalsText.statements(text, creating: ["we;ird \"x\""])
        #expect(one.count == 3)
        let grant = try #require(all.last)
        #expect(GlobalsText.membership(grant, known: ["app"], keepsGrantor: true) == nil)
        let known: Set = ["app", "we;ird \"x\"", "postgres"]
        #expect(GlobalsText.membership(grant, known: known, keepsGrantor: true) == grant)
        #expect(
            GlobalsText.membership(grant, known: known, keepsGrantor: false)
                == #"GRANT "we;ird ""x""" TO app WITH ADMIN OPTION"#)
    }

    @Test("a psql command outside quotes is never replayed")
    func commands() {
        #expect(throws: Failure.self) { try GlobalsText.statements("CREATE ROLE a;\n\\! id\nCREATE ROLE b;") }
        #expect((try? GlobalsText.statements(#"COMMENT ON ROLE a IS E'\'; \\! id';"#).count) == 1)
    }

    @Test("versions are read as programs print them")
    func versions() {
        #expect(
            PostgreSQLVersion(printed: "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n")?.description == "15.20")
        #expect(PostgreSQLVersion(printed: "psql (PostgreSQL) 18beta1")?.major == 18)
        #expect(PostgreSQLVersion(printed: "nonsense") == nil)
    }
}
