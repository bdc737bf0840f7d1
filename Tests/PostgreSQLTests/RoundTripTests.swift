// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import PostgreSQL
import TestSupport
import Testing
import Transports

@Suite("PostgreSQL round trip")
struct RoundTripTests {
    @Test("a whole server comes back on an empty one, dump for dump, roles and settings included")
    func wholeServer() async throws {
        try await withServers(15, 15) { servers in
            let (source, target) = (servers[0], servers[1])
            try await Sample.fill(source)
            try await Sample.fillEncodings(source)
            let captured = try await Captured(try Fixture.adapter(source))
            #expect(
                captured.report.engine
                    == "PostgreSQL \(try await source.sql("SHOW server_version").prefix { $0 != " " })")
            #expect(captured.report.facts["app/sales.customer rows"] == .count(500))
            #expect(captured.report.facts["app/public.parent rows"] == .count(1))
            #expect(captured.report.facts["app/public.never sequence"] == .text("1, not called"))
            #expect(captured.report.facts["app/public.down sequence"] == .text("895"))
            #expect(captured.report.facts["app/large objects"] == .count(2))
            #expect(captured.report.facts["app/constraints not validated"] == .count(1))
            let adapter = try Fixture.adapter(target)
            let plan = try await adapter.planRestore(captured.restore())
            #expect(plan.blockers == [])
            #expect(plan.warnings.contains { $0.contains("not the server") })
            #expect(plan.steps.contains { $0.what.contains("Owner;x, app_owner, reader, writer") })
            try await adapter.restoreWhole(captured.restore())
            for database in ["app", "empty", "postgres", Sample.oddName] + Sample.encodings {
                // pg_dump itself refuses to write \connect with a name that has a line break.
                let arguments = database == Sample.oddName ? [] : ["--create"]
                let wanted = try await source.dump(database, arguments)
                #expect(try await target.dump(database, arguments) == wanted, "database \(database)")
            }
            let owners = """
                SELECT datname, pg_get_userbyid(datdba), shobj_description(oid, 'pg_database') FROM pg_database
                WHERE datname !~ '__before_' ORDER BY 1
                """
            #expect(try await target.sql(owners) == (try await source.sql(owners)))
            let roles = Program(
                "\(source.binaries)/pg_dumpall", ["--globals-only"],
                environment: ["PGUSER": "postgres", "LC_ALL": "C"])
            var texts: [[Substring]] = []
            for server in [source, target] {
                var program = roles
                program.environment["PGHOST"] = server.folder
                program.environment["PGPORT"] = String(server.port)
                texts.append(
                    String(decoding: try await LocalTransport().output(of: program), as: UTF8.self).split(
                        separator: "\n"
                    )
                    // Salted anew by every initdb, and existing roles are left as they are.
                    .filter { !$0.contains("restrict ") && !$0.hasPrefix("ALTER ROLE postgres ") })
            }
            #expect(texts[0] == texts[1])
            #expect(
                try await target.sql("SELECT count(*) FROM pg_database WHERE datname ~ '__(salvor|before)_'") == "1",
                "the replaced 'postgres' and no other is kept")
        }
    }

    @Test("after a restore the planner knows every table: statistics are gathered before the databases go live")
    func statistics() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            try await server.sql("DROP DATABASE app")
            try await (try Fixture.adapter(server)).restoreWhole(captured.restore())
            // Tables, partitions and materialized views with rows, that the planner knows nothing of.
            let unknown = """
                SELECT string_agg(c.oid::regclass::text, ',') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_|^information_schema$' AND pg_relation_size(c.oid) > 0
                AND (reltuples <= 0 OR NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = c.oid)
                    OR pg_stat_get_last_analyze_time(c.oid) IS NULL)
                """
            #expect(try await server.sql(unknown, database: "app") == "")
            #expect(
                try await server.sql(
                    "SELECT reltuples FROM pg_class WHERE oid = 'sales.customer'::regclass", database: "app") == "500")
            let columns = "SELECT count(*) FROM pg_stats WHERE schemaname = 'sales' AND tablename = 'customer'"
            #expect(Int(try await server.sql(columns, database: "app")) ?? 0 > 0)
        }
    }

    @Test("two captures of an unchanged server are the same bytes")
    func unchanged() async throws {
        try await withServers(15) { servers in
            try await Sample.fill(servers[0])
            let adapter = try Fixture.adapter(servers[0])
            let first = try await Captured(adapter)
            try await Task.sleep(for: .milliseconds(1100))  // the archive's own clock counts seconds
            let second = try await Captured(adapter)
            #expect(first.capture.streams.map(\.name) == second.capture.streams.map(\.name))
            #expect(first.capture.streams.count == 5)
            for stream in first.capture.streams {
                #expect(second.capture.bytes(stream.name) == first.capture.bytes(stream.name), "\(stream.name)")
                #expect(stream.receipt.length > 0)
            }
            #expect(first.report.facts == second.report.facts)
            let globals = String(decoding: first.capture.bytes("globals") ?? [], as: UTF8.self)
            #expect(!globals.contains("\\restrict"))
            #expect(globals.contains("CREATE ROLE app_owner"))
        }
    }

    @Test("one database is restored under another name beside its original, streaming to pg_restore's standard input")
    func renamed() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await Sample.fill(server)
            let captured = try await Captured(
                try Fixture.adapter(
                    server, namesPrograms: false,
                    ["databases": Fixture.list(["app"]), "facts": Fixture.text("estimate")]))
            #expect(captured.report.facts["app/sales.customer rows"] == .text("some"))
            let restore = captured.restore(include: ["a?p"], rename: "app_copy")
            let adapter = try Fixture.adapter(server, transport: RemoteTransport())
            try await adapter.restoreWhole(restore)
            #expect(try await server.dump("app") == (try await server.dump("app_copy")))
            #expect(try await server.sql("SELECT datconnlimit FROM pg_database WHERE datname = 'app_copy'") == "17")
            #expect(try await server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_%'") == "0")
        }
    }

    @Test("a role that is no superuser restores what its membership allows")
    func unprivileged() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await server.sql(
                "CREATE ROLE app_owner; CREATE ROLE restorer LOGIN CREATEDB PASSWORD 'restorer-secret'; "
                    + "GRANT app_owner TO restorer")
            try await server.sql("CREATE DATABASE app OWNER app_owner; ALTER DATABASE app SET statement_timeout = '1s'")
            try await server.sql(
                "SET ROLE app_owner; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT generate_series(1, 10) AS i",
                database: "app")
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            let wanted = try await server.dump("app", ["--create"])
            try await server.sql("DROP TABLE s.t", database: "app")
            let adapter = try Fixture.adapter(server, user: "restorer", password: "restorer-secret")
            let plan = try await adapter.planRestore(captured.restore())
            #expect(plan.blockers == [])
            #expect(plan.warnings.contains { $0.contains("no superuser") })
            let journal = MemoryJournal()
            try await adapter.restoreWhole(captured.restore(), journal: journal)
            #expect(try await server.dump("app", ["--create"]) == wanted)
            try await adapter.settle(captured.restore(), journal: journal)
            #expect(try await server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'app%'") == "1")
        }
    }

    @Test("rows written while the dump runs are neither counted nor stored, and sequences that move on still verify")
    func concurrentWrites() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await server.sql("CREATE DATABASE app")
            try await server.sql(
                "CREATE TABLE t (id serial, x text); INSERT INTO t (x) SELECT md5(i::text) FROM generate_series(1, 200000) i",
                database: "app")
            let writer = Task {
                while !Task.isCancelled {
                    try await server.sql("INSERT INTO t (x) SELECT 'new' FROM generate_series(1, 100)", database: "app")
                }
            }
            let captured = try await Captured(try Fixture.adapter(server, ["databases": Fixture.text("app")]))
            writer.cancel()
            _ = await writer.result
            let restore = captured.restore(rename: "copy")
            try await (try Fixture.adapter(server)).restoreWhole(restore)
            let count = try await server.sql("SELECT count(*) FROM t", database: "copy")
            #expect(captured.report.facts["app/public.t rows"] == .count(Int64(count) ?? -1))
        }
    }
}

/// A transport whose files are not this host's.
struct RemoteTransport: Transport {
    var description: String { "elsewhere" }
    var reachesLocalFiles: Bool { false }

    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) { try await LocalTransport().run(program, body) }

    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        try await LocalTransport().connect(host: host, port: port, timeoutSeconds: timeoutSeconds)
    }
}
