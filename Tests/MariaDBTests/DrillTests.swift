// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@Suite("MariaDB: drills", .serialized)
struct DrillTests {
    /// What a client prints that finds the copy by the variables of a drill, as a program of the plan would.
    private func client(_ arguments: [String], _ places: [String: String]) async throws -> String {
        var environment = ProcessInfo.processInfo.environment
        environment.merge(places) { $1 }
        let outcome = try await StockProgram.run("mariadb", arguments, environment: environment)
        guard outcome.status == 0 else { throw Failure(.programFailed, outcome.errors) }
        return outcome.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test("everything comes back in a server of the drill's own while the live one is gone, and is asked there")
    func whole() async throws {
        let server = try await ThrowawayMariaDB.start()
        try await MariaDBFixture.fill(server)
        // Due at once: the drill's server must not do it.
        try await server.sql(
            """
            CREATE EVENT app.wipe ON SCHEDULE EVERY 1 SECOND DO DELETE FROM app.orders;
            CREATE TABLE app.empty(a INT);
            DELIMITER ;;
            CREATE FUNCTION app.writes() RETURNS INT DETERMINISTIC BEGIN INSERT INTO app.empty VALUES (1); RETURN 1; END ;;
            CREATE FUNCTION app.logs() RETURNS INT DETERMINISTIC BEGIN INSERT INTO app.log VALUES ('x'); RETURN 1; END ;;
            DELIMITER ;
            """)
        let adapter = try MariaDBFixture.adapter(server)
        let captured = try await CapturedSource(adapter)
        try await server.stop()

        let restore = captured.restore()
        let (facts, seen) = try await DrilledRestore.of(restore, adapter) { copy in
            func ask(_ sql: String, _ database: String? = "app") async throws -> String? {
                try await copy.answer(sql, database: database, in: restore)
            }
            #expect(try await ask("SELECT COUNT(*) FROM orders") == "500")
            #expect(try await ask("SELECT COUNT(*) > 499 FROM orders -- all") == "1")
            #expect(try await ask("WITH o AS (SELECT total FROM orders) SELECT MAX(total) FROM o;") == "500")
            #expect(try await ask("SELECT word FROM alt WHERE word LIKE 'G%'", "odd-näme") == "Grüße")
            #expect(try await ask("SELECT NULL") == nil)
            #expect(try await ask("SELECT 'NULL'") == "NULL")
            #expect(try await ask("SELECT 'a\tb\\\\'") == "a\tb\\")
            let wrong: [(String, String?, String)] = [
                ("SELECT 1, 2", "app", "one row of one value"), ("SELECT total FROM orders", "app", "one row of one"),
                ("SELECT 1 FROM orders WHERE id > 9000", "app", "one row of one value"),
                ("DELETE FROM orders RETURNING 1", "app", "MariaDB says: 1064"),
                ("SELECT writes()", "app", "READ ONLY"), ("SELECT logs()", "app", "READ ONLY"),
                ("SELECT 1) SELECT 1 FROM salvor; DROP TABLE orders; -- ", "app", "MariaDB says: 1064"),
                ("SELECT 1 \\! touch /tmp/salvor-drill-shell", "app", "MariaDB says: 1064"),
                ("SELECT nonsense", "app", "Unknown column"), ("SELECT 1", nil, "has 2 databases"),
                ("SELECT 1", "mysql", "no database 'mysql'"),
            ]
            for (sql, database, words) in wrong {
                let failure = await thrownFailure { _ = try await ask(sql, database) }
                #expect(failure?.summary.contains(words) == true, "\(sql): \(failure?.summary ?? "no failure")")
            }
            #expect(!FileManager.default.fileExists(atPath: "/tmp/salvor-drill-shell"))
            #expect(try await ask("SELECT COUNT(*) FROM empty") == "0")

            let places = copy.places(of: restore)
            // The words that an operator would write, and with none: Debian's option file names the live server's socket.
            let defaults = try #require(places["SALVOR_DRILL_DEFAULTS_FILE"])
            let query = ["-N", "-e", "SELECT COUNT(*), @@datadir FROM app.orders"]
            let named = try await client(["--defaults-file=\(defaults)"] + query, places)
            #expect(named.hasPrefix("500\t/tmp/salvor-dr-"), "\(named)")
            #expect(try await client(query, places) == named)
            #expect(try await client(["-N", "-e", "SELECT @@event_scheduler, @@skip_networking"], places) == "OFF\t1")
            let socket = try #require(places["SALVOR_DRILL_SOCKET"])
            let mode = try FileManager.default.attributesOfItem(
                atPath: (socket as NSString).deletingLastPathComponent)[.posixPermissions]
            #expect(mode as? Int == 0o700, "others get at the copy")
            return try await client(["-N", "-e", "SHOW GRANTS FOR app@'%'; SELECT double_id FROM app.richer"], places)
        }
        #expect(facts.count > 20 && facts.allSatisfy(\.isEqual), "\(facts.filter { !$0.isEqual })")
        #expect(facts.contains { $0.name == "app.orders rows" })
        #expect(seen.contains("GRANT ALL PRIVILEGES ON `app`.*") && seen.hasSuffix("4\n6"), "\(seen)")
    }

    @Test("a copy that is not what was captured is told, and bundles of MySQL and missing programs are refused")
    func refused() async throws {
        let captured = try await withMariaDB { server in
            try await server.sql("CREATE DATABASE app; CREATE TABLE app.t(a INT); INSERT INTO app.t VALUES (1), (2);")
            return (try await CapturedSource(try MariaDBFixture.adapter(server)), try MariaDBFixture.adapter(server))
        }
        var restore = captured.0.restore()
        restore.contents.facts["app.t rows"] = .count(3)
        let (facts, _) = try await DrilledRestore.of(restore, captured.1) { _ in }
        #expect(facts.filter { !$0.isEqual }.map(\.name) == ["app.t rows"])

        guard case .object(var record) = restore.contents.restoreData else { return }
        record["product"] = "MySQL"
        restore.contents.restoreData = .object(record)
        let wrong = restore
        let mysql = await thrownFailure { _ = try await DrilledRestore.of(wrong, captured.1) { _ in } }
        #expect(mysql?.code == .restoreBlocked && mysql?.summary.contains("MySQL") == true, "\(mysql as Any)")
    }
}
