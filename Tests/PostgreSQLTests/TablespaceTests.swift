// SPDX-License-Identifier: Apache-2.0
import Domain
import PostgreSQL
import TestSupport
import Testing

@Suite("PostgreSQL tablespaces")
struct TablespaceTests {
    @Test("tables, indexes and databases go back to their tablespaces, and to the default where those are missing")
    func tablespaces() async throws {
        try await withServers(15, 15) { servers in
            let (server, other) = (servers[0], servers[1])
            // A tablespace inside the data folder, for developers; the dump treats it like any other.
            for name in ["fast", "wide"] {
                try await server.sql(
                    "SET allow_in_place_tablespaces = on; CREATE TABLESPACE \(name) LOCATION ''")
            }
            try await server.sql("CREATE DATABASE app TABLESPACE wide")
            try await server.sql(
                "CREATE TABLE t (i int) TABLESPACE fast; INSERT INTO t SELECT generate_series(1, 100); "
                    + "CREATE INDEX t_i ON t (i) TABLESPACE fast; CREATE TABLE u AS SELECT 1 AS a", database: "app")
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            let places = """
                SELECT relname, coalesce((SELECT spcname FROM pg_tablespace s WHERE s.oid = reltablespace), '-')
                FROM pg_class WHERE relname IN ('t', 't_i', 'u') ORDER BY 1
                """
            let home =
                "SELECT spcname FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace WHERE datname = "
            let wanted = try await server.dump("app", ["--create"])
            #expect(wanted.contains("default_tablespace = fast"))
            try await server.sql("DROP TABLE t", database: "app")
            let adapter = try Fixture.adapter(server)
            let plan = try await adapter.planRestore(captured.restore())
            #expect(plan.blockers == [] && plan.warnings.filter { $0.contains("tablespace") } == [])
            #expect(
                plan.steps.contains { $0.what.contains("TABLESPACE \"wide\"") || $0.what.contains("TABLESPACE wide") })
            try await adapter.restoreWhole(captured.restore())
            #expect(try await server.dump("app", ["--create"]) == wanted)
            #expect(try await server.sql(places, database: "app") == "t|fast\nt_i|fast\nu|-")
            #expect(try await server.sql(home + "'app'") == "wide")

            let elsewhere = try Fixture.adapter(other)
            let warned = try await elsewhere.planRestore(captured.restore())
            #expect(warned.blockers == [])
            #expect(warned.warnings.filter { $0.contains("tablespace") && $0.contains("is missing") }.count == 2)
            try await elsewhere.restoreWhole(captured.restore())
            #expect(try await other.sql(places, database: "app") == "t|-\nt_i|-\nu|-")
            #expect(try await other.sql(home + "'app'") == "pg_default")
            #expect(try await other.sql("SELECT sum(i) FROM t", database: "app") == "5050")
        }
    }
}
