// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import PostgreSQL
import TestSupport
import Testing
import Transports

@Suite("PostgreSQL in containers", .serialized)
struct ContainerTests {
    @Test("is captured and restored by the clients beside it", arguments: ThrowawayEngine.Kind.allCases)
    func roundTrip(_ kind: ThrowawayEngine.Kind) async throws {
        let engine = try await ThrowawayEngine.start(kind)
        try await engine.container("db", .postgresql)
        let transport = engine.transport("db", user: "nobody")
        let binaries = try ContainerImage.postgreSQL() + "/bin"
        func run(_ script: String, _ input: String = "") async throws -> String {
            let program = Program("sh", ["-c", script, "sh", binaries], environment: ["LC_ALL": "C"])
            return String(decoding: try await transport.output(of: program, input: Array(input.utf8)), as: UTF8.self)
        }
        func sql(_ text: String, _ database: String = "shop") async throws -> String {
            try await run("\"$1/psql\" -X -A -t -q -v ON_ERROR_STOP=1 -h /tmp -U postgres -d \(database)", text + "\n")
        }
        _ = try await run(
            """
            "$1/initdb" -D /tmp/data -U postgres -A scram-sha-256 --pwfile=/dev/stdin --no-locale -E UTF8 -N >/tmp/init.log 2>&1 \
            || { cat /tmp/init.log >&2; exit 1; }
            echo "local all all trust" >/tmp/data/pg_hba.conf
            echo "host all all 127.0.0.1/32 scram-sha-256" >>/tmp/data/pg_hba.conf
            "$1/pg_ctl" -D /tmp/data -w -s -l /tmp/log -o "-k /tmp -c listen_addresses=127.0.0.1 -c fsync=off" start >/dev/null 2>&1
            """, "geheim\n")
        _ = try await sql("CREATE DATABASE shop", "postgres")
        _ = try await sql(
            """
            CREATE TABLE item (id int PRIMARY KEY, name text);
            INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 5000) n;
            CREATE TABLE note (body text); INSERT INTO note VALUES (E'line\\nbreak ''quoted'' \\\\ é');
            """)
        let before = try await sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM item t; TABLE note")

        let adapter = try adapter(transport, binaries)
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        let captured = try await Captured(adapter)
        #expect(captured.report.facts["shop/public.item rows"] == .count(5000))
        _ = try await sql("DROP TABLE note; DELETE FROM item WHERE id % 2 = 0")
        let plan = try await adapter.planRestore(captured.restore())
        #expect(plan.blockers == [])
        let journal = MemoryJournal()
        try await adapter.restoreWhole(captured.restore(), journal: journal)
        #expect(try await sql("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM item t; TABLE note") == before)
        try await adapter.rollBack(captured.restore().place, journal: journal)
        #expect(try await sql("SELECT count(*) FROM item") == "2500\n")

        // The container goes away while the dump runs: no good stream.
        try await engine.kill("db")
        let lost = await failure { try await Captured(adapter) }
        #expect(lost?.summary.contains("the container is not running") == true, "\(String(describing: lost))")
    }

    private func adapter(_ transport: any Transport, _ binaries: String) throws -> any SourceAdapter {
        let settings = Fixture.mapping([
            "connection": Fixture.mapping([
                "host": Fixture.text("127.0.0.1"), "port": Fixture.text("5432"), "user": Fixture.text("postgres"),
                "password": Fixture.text("geheim"),
            ]),
            "programs": Fixture.text(binaries), "databases": Fixture.text("shop"),
        ])
        return try PostgreSQLFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "db", adapter: "postgresql", transport: .local, settings: settings, mark: Fixture.mark),
                transport: transport, secrets: Fixture.Secrets(), clock: Fixture.Clock()))
    }

    private func failure(_ body: () async throws -> some Any) async -> Failure? {
        do {
            _ = try await body()
            return nil
        } catch { return error as? Failure }
    }
}
