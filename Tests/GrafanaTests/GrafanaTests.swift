// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import GRDB
import Grafana
import TestSupport
import Testing
import Transports

/// No Grafana runs here: its database is made with the tables that its migrations make (grafana/grafana,
/// pkg/services/sqlstore/migrations), as far as they matter.
private struct Fixture {
    let folder = Result { try TemporaryDirectory("grafana") }

    func place() throws -> TemporaryDirectory { try folder.get() }

    init() throws {
        let folder = try place()
        try folder.write("etc/grafana.ini", "; comment\n[security]\nadmin_user = admin\nsecret_key = s3cr3t\n")
        try folder.write("etc/provisioning/datasources/prometheus.yaml", "apiVersion: 1\n")
        try folder.write(
            "lib/plugins/clock/plugin.json", #"{"id": "grafana-clock-panel", "info": {"version": "2.1.0"}}"#)
        let queue = try DatabaseQueue(path: folder("lib/grafana.db"))
        try queue.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE org (id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, name TEXT);
                    CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, login TEXT, password TEXT, salt TEXT);
                    CREATE TABLE dashboard (id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, slug TEXT, title TEXT,
                        data TEXT, org_id INTEGER, uid TEXT, is_folder INTEGER);
                    CREATE TABLE data_source (id INTEGER PRIMARY KEY AUTOINCREMENT, org_id INTEGER, type TEXT, name TEXT,
                        secure_json_data TEXT, uid TEXT);
                    CREATE TABLE alert_rule (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, uid TEXT);
                    CREATE TABLE migration_log (id INTEGER PRIMARY KEY AUTOINCREMENT, migration_id TEXT, success INTEGER);
                    INSERT INTO org VALUES (1, 0, 'Main Org.');
                    INSERT INTO user VALUES (1, 'admin', 'hash', 'salt');
                    INSERT INTO dashboard VALUES (1, 1, 'home', 'Home', '{"panels": []}', 1, 'abc', 0);
                    INSERT INTO data_source VALUES (1, 1, 'prometheus', 'Prometheus', '{"password": "#xyz"}', 'p1');
                    """)
        }
        try queue.close()
    }

    func adapter() throws -> any SourceAdapter {
        let folder = try place()
        return try GrafanaFactory().make(
            AdapterSettings.environment(
                "grafana",
                AdapterSettings.mapping([
                    "database": AdapterSettings.text(folder("lib/grafana.db")),
                    "configuration": AdapterSettings.text(folder("etc/grafana.ini")),
                    "provisioning": AdapterSettings.text(folder("etc/provisioning")),
                    "plugins": AdapterSettings.text(folder("lib/plugins")),
                    "temporary-directory": AdapterSettings.text(folder.path),
                ]), transport: LocalTransport()))
    }

    func titles() throws -> [String] {
        let queue = try DatabaseQueue(path: try place()("lib/grafana.db"))
        defer { try? queue.close() }
        return try queue.read { try String.fetchAll($0, sql: "SELECT title FROM dashboard ORDER BY id") }
    }

    func execute(_ sql: String) throws {
        let queue = try DatabaseQueue(path: try place()("lib/grafana.db"))
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }
}

@Suite("grafana: database, configuration and provisioning there and back")
struct GrafanaTests {
    @Test("dashboards and files come back together, and the old ones together, too")
    func roundTrip() async throws {
        let fixture = try Fixture()
        let adapter = try fixture.adapter()
        let checks = await adapter.preflight()
        #expect(!checks.contains { $0.state == .failed }, "\(checks)")
        #expect(checks.contains { $0.name == "secret key" && $0.state == .ok })
        let captured = try await CapturedSource(adapter)
        #expect(captured.report.facts["table dashboard rows"] == .count(1))
        #expect(captured.report.facts["configuration files"] == .count(2))
        #expect(captured.report.notices.contains("1 dashboards and folders"))
        #expect(captured.report.restoreData["plugins"] == .array(["grafana-clock-panel 2.1.0"]))
        #expect(!"\(captured.report)".contains("s3cr3t"))
        let folder = try fixture.place()
        try fixture.execute("UPDATE dashboard SET title = 'Broken'")
        try folder.write("etc/grafana.ini", "[security]\n")
        try FileManager.default.removeItem(atPath: folder("lib/plugins/clock"))
        let (journal, restore) = (MemoryJournal(), captured.restore())
        let plan = try await adapter.planRestore(restore)
        #expect(plan.blockers == [])
        #expect(plan.warnings.contains { $0.contains("grafana-clock-panel 2.1.0") })
        #expect(plan.warnings.contains { $0.contains("'secret_key' of the bundle's grafana.ini") })
        try await adapter.restoreWhole(restore, journal: journal)
        #expect(try fixture.titles() == ["Home"])
        #expect(try String(contentsOfFile: folder("etc/grafana.ini"), encoding: .utf8).contains("s3cr3t"))
        try await adapter.rollBack(restore.place, journal: journal)
        #expect(try fixture.titles() == ["Broken"])
        #expect(try String(contentsOfFile: folder("etc/grafana.ini"), encoding: .utf8) == "[security]\n")
    }

    @Test("killed at any record of the journal, it is undone as a whole")
    func crash() async throws {
        let fixture = try Fixture()
        let adapter = try fixture.adapter()
        let captured = try await CapturedSource(adapter)
        try fixture.execute("UPDATE dashboard SET title = 'Broken'")
        let folder = try fixture.place()
        try folder.write("etc/grafana.ini", "[security]\n")
        let restore = captured.restore()
        for limit in 0..<9 {
            let journal = MemoryJournal(failingAfter: limit)
            do { try await adapter.restoreWhole(restore, journal: journal) } catch is MemoryJournal.Killed {}
            let later = MemoryJournal(await journal.recorded)
            try await adapter.rollBack(restore.place, journal: later)
            #expect(try fixture.titles() == ["Broken"], "at record \(limit)")
            #expect(
                try String(contentsOfFile: folder("etc/grafana.ini"), encoding: .utf8) == "[security]\n",
                "at record \(limit)")
        }
    }

    @Test("another database is refused")
    func stranger() async throws {
        let fixture = try Fixture()
        try fixture.execute("DROP TABLE dashboard")
        let adapter = try fixture.adapter()
        let failed = await thrownFailure { try await CapturedSource(adapter) }
        #expect(failed?.summary.contains("not a database of Grafana") == true, "\(String(describing: failed))")
    }

    @Test("a drill brings both back below its folder, with the live ones gone, and the copy is asked in SQL")
    func drilled() async throws {
        let fixture = try Fixture()
        let adapter = try fixture.adapter()
        let captured = try await CapturedSource(adapter)
        let folder = try fixture.place()
        for name in ["etc", "lib"] { try FileManager.default.removeItem(atPath: folder(name)) }
        let restore = captured.restore()
        let (facts, _) = try await DrilledRestore.of(restore, adapter) { copy in
            #expect(try await copy.answer("SELECT title FROM dashboard", database: nil, in: restore) == "Home")
            let changing = await thrownFailure {
                _ = try await copy.answer("DELETE FROM org RETURNING 1", database: nil, in: restore)
            }
            #expect(changing != nil)
            let places = copy.places(of: restore)
            let (root, file) = (
                try #require(places["SALVOR_DRILL_PATH"]), try #require(places["SALVOR_DRILL_DATABASE"])
            )
            let ini = try String(contentsOfFile: root + folder("etc/grafana.ini"), encoding: .utf8)
            #expect(ini.contains("secret_key = s3cr3t"))
            let asked = try await StockProgram.run("sqlite3", ["-readonly", file, "SELECT login FROM user"])
            #expect(asked.text == "admin\n", "\(asked.errors)")
        }
        #expect(facts.contains { $0.name == "table dashboard rows" })
        #expect(facts.contains { $0.name.hasPrefix("configuration ") } && facts.allSatisfy(\.isEqual), "\(facts)")
        #expect(
            !FileManager.default.fileExists(atPath: folder("lib"))
                && !FileManager.default.fileExists(atPath: folder("etc")))
    }
}
