// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing
import Transports

@Suite("MariaDB: refused and told why")
struct FailureTests {
    @Test("a wrong password, a missing right, a server that is not there: named, and with the remedy")
    func access() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let wrong = await thrownFailure {
                try await CapturedSource(try MariaDBFixture.adapter(server, password: "wrong-password"))
            }
            #expect(wrong?.code == .sourceDenied)
            #expect(wrong?.summary.contains("wrong-password") == false)

            try await server.sql(
                "CREATE USER backup@'127.0.0.1' IDENTIFIED BY 'b'; GRANT SELECT ON *.* TO backup@'127.0.0.1'")
            let poor = try MariaDBFixture.adapter(server, user: "backup", password: "b")
            let rights = await poor.preflight().first { $0.name == "rights" }
            #expect(rights?.state == .failed)
            let remedy = try #require(rights?.remedy)
            #expect(remedy.hasPrefix("GRANT SHOW VIEW, TRIGGER, EVENT"), "\(remedy)")
            // What doctor says is all it takes.
            try await server.sql(remedy)
            #expect(await poor.preflight().allSatisfy { $0.state != .failed })
            let captured = try await CapturedSource(poor)
            #expect(captured.capture.streams.count == 5)
            let plan = try await poor.planRestore(captured.restore())
            #expect(plan.blockers.contains { $0.contains("lacks") && $0.contains("CREATE") })
        }
        let absent = try MariaDBFactoryFixture.absent()
        #expect(await thrownFailure { try await CapturedSource(absent) }?.code == .sourceUnreachable)
        #expect(await absent.preflight().map(\.state) == [.failed])
    }

    @Test("a server that is killed during the dump fails the source")
    func killed() async throws {
        try await withMariaDB { server in
            try await server.sql(
                """
                CREATE DATABASE big; USE big; CREATE TABLE big.t(id INT PRIMARY KEY, body LONGTEXT);
                INSERT INTO big.t SELECT seq, REPEAT(MD5(seq), 20000) FROM seq_1_to_60
                """)
            let adapter = try MariaDBFixture.adapter(server)
            let sink = KillingSink(after: 2 << 20) { try server.kill() }
            let failed = await thrownFailure { try await adapter.capture(into: sink) }
            #expect(failed?.code == .sourceUnreachable, "\(String(describing: failed))")
            #expect(failed?.summary.contains("big") == true)
        }
    }

    @Test("a dump that ends early is refused although the program says all is well")
    func truncated() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let folder = try TemporaryDirectory("programs")
            for name in ["mariadb", "mariadb-dump"] {
                let cut =
                    name == "mariadb-dump"
                    ? "case \"$*\" in *order-by-primary*) exec 3>&1; mariadb-dump \"$@\" | head -c 4000; exit 0;; esac\n"
                    : ""
                try folder.write(name, "#!/bin/sh\n\(cut)exec /usr/bin/\(name) \"$@\"\n")
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder(name))
            }
            let adapter = try MariaDBFixture.adapter(server, ["programs": AdapterSettings.text(folder.path)])
            let failed = await thrownFailure { try await CapturedSource(adapter) }
            #expect(failed?.summary.contains("ends before its last line") == true, "\(String(describing: failed))")
        }
    }

    @Test("a table that is dropped or altered meanwhile fails the source instead of missing quietly")
    func changed() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server, ["databases": AdapterSettings.text("app")])
            let sink = KillingSink(after: 1) {
                try ShortCommand.run(
                    "mariadb",
                    [
                        "--no-defaults", "--socket=\(server.folder)/s", "--user=root",
                        "--password=\(ThrowawayMariaDB.password)", "-e", "CREATE TABLE app.late(x INT)",
                    ])
            }
            let failed = await thrownFailure { try await adapter.capture(into: sink) }
            #expect(failed?.code == .sourceChanged, "\(String(describing: failed))")
        }
    }

    @Test("a copy that comes back different is not promoted")
    func verification() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server)
            let captured = try await CapturedSource(adapter)
            let journal = MemoryJournal()
            let restore = captured.restore()
            try await adapter.stage(restore, journal: journal)
            try await server.sql(
                """
                UPDATE app__salvor_k3f9qz.customers SET note = 'other' WHERE id = 2;
                DELETE FROM app__salvor_k3f9qz.orders WHERE id = 7; DROP VIEW app__salvor_k3f9qz.richer;
                ALTER TABLE app__salvor_k3f9qz.loose ADD KEY (b)
                """)
            let wrong = try await adapter.verify(restore, journal: journal).filter { !$0.isEqual }.map(\.name)
            #expect(
                wrong == [
                    "app view richer", "app.customers digest", "app.loose definition", "app.orders digest",
                    "app.orders rows",
                ])
            try await adapter.abandon(restore.place, journal: journal)
            #expect(try await MariaDBFixture.databases(server) == ["app", "odd-näme"])
        }
    }

    @Test("blockers: an older server, a table elsewhere that refers into the database, a name that is taken")
    func blockers() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server)
            let captured = try await CapturedSource(adapter)
            try await server.sql(
                """
                CREATE DATABASE beside; CREATE DATABASE app__before_k3f9qz;
                CREATE TABLE beside.refers(c INT, FOREIGN KEY (c) REFERENCES app.customers(id))
                """)
            var restore = captured.restore()
            guard case .object(var data) = restore.contents.restoreData else { return }
            data["version"] = "11.4.2"
            restore.contents.restoreData = .object(data)
            let plan = try await adapter.planRestore(restore)
            #expect(plan.blockers.contains { $0.contains("older than the bundle's 11.4.2") })
            #expect(plan.blockers.contains { $0.contains("beside.refers") })
            #expect(plan.blockers.contains { $0.contains("app__before_k3f9qz") })
            let failed = await thrownFailure { try await adapter.stage(restore, journal: MemoryJournal()) }
            #expect(failed?.code == .restoreBlocked, "\(String(describing: failed))")
        }
    }

    @Test("tables without transactions are locked when the plan says so")
    func locking() async throws {
        try await withMariaDB { server in
            try await MariaDBFixture.fill(server)
            let adapter = try MariaDBFixture.adapter(server, ["non-transactional": AdapterSettings.text("lock")])
            let captured = try await CapturedSource(adapter)
            #expect(!captured.report.notices.contains { $0.contains("transactions") })
            #expect(captured.report.facts["app.log rows"] == .count(50))
        }
    }

    @Test("settings are read strictly")
    func settings() throws {
        func failure(_ pairs: KeyValuePairs<String, ConfigNode>) -> Failure? {
            do {
                _ = try MariaDBFactoryFixture.adapter(AdapterSettings.mapping(pairs))
                return nil
            } catch { return error as? Failure }
        }
        #expect(failure(["databse": AdapterSettings.text("x")])?.hint == "Did you mean 'databases'?")
        #expect(failure(["databases": AdapterSettings.list(["mysql"])])?.summary.contains("server itself") == true)
        #expect(failure(["jobs": AdapterSettings.text("0")])?.summary.contains("1 to 64") == true)
        let both = AdapterSettings.mapping(["host": AdapterSettings.text("h"), "socket": AdapterSettings.text("/s")])
        #expect(failure(["connection": both])?.summary.contains("excludes") == true)
        #expect(failure([:]) == nil)
    }
}
