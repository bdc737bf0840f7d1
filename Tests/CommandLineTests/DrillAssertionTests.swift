// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Drills: assertions and proof", .serialized)
struct DrillAssertionTests {
    private func folder() throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("drills")
        try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: folder.path)
        return folder
    }

    /// Writes the plan anew, with what each source is asked.
    private func ask(_ site: Site, _ plan: String, _ assertions: [String: String]) throws {
        var lines: [String] = []
        for line in plan.components(separatedBy: "\n") {
            lines.append(line)
            guard let name = assertions.keys.first(where: { line.contains("- name: \($0)") }) else { continue }
            lines.append("    drill: {assert: \(assertions[name] ?? "")}")
        }
        try site.folder.write("plan.yaml", lines.joined(separator: "\n"))
    }

    @Test(
        "PostgreSQL, Redis and files are asked where they were restored; what does not hold fails the drill by its name"
    )
    func servers() async throws {
        let servers = try await ServerSite.make()
        let (site, folder) = (servers.site, try folder())
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let shop = "database: shop"
        let good = [
            "app-db": """
            [{sql: "select count(*) > 0 from t;", \(shop)}, {sql: "select count(*) from t -- all", \(shop)}, \
            {command: ["\(site.folder("programs/psql"))", -X, -d, shop, -c, "select 1/count(*) from t"]}]
            """,
            "cache": #"[{command: [sh, -c, "test $(redis-cli -s $SALVOR_DRILL_SOCKET get a) = 1"]}]"#,
        ]
        try ask(site, plan, good)
        try await site.ok(["backup"])
        let passed = try await site.ok(["drill", "--folder", folder.path], as: site.owner)
        #expect(passed.contains("3 assertions hold") && passed.contains("1 assertion holds"), "\(passed)")
        #expect(passed.contains("passed\nrecorded at"), "\(passed)")

        let wrong: [(String, String)] = [
            (
                #"[{sql: "select true", \#(shop)}, {sql: "select count(*) > 1000000 from t", \#(shop)}]"#,
                "assertion 2 (select count(*) > 1000000 from t [shop]) does not hold: it gives 'false'"
            ),
            (#"[{sql: "delete from t returning true", \#(shop)}]"#, "PostgreSQL says: "),
            (#"[{sql: "select true \\! touch \#(folder.path)/shell", \#(shop)}]"#, "PostgreSQL says: "),
            (#"[{sql: "select true", database: nowhere}]"#, "the bundle has no database 'nowhere'"),
            (#"[{sql: "select pg_sleep(60) is null", \#(shop), time-limit: 1s}]"#, "does not answer within 1s"),
        ]
        for (assertions, words) in wrong {
            try ask(site, plan, ["app-db": assertions])
            let failed = try await site.owner.run(
                ["drill", "--source", "app-db", "--folder", folder.path, "--progress", "none"])
            #expect(failed.status != 0 && failed.output.contains(words), "\(assertions): \(failed.output)")
            #expect(failed.output.contains("source 'app-db': assertion"), "\(failed.output)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [], "a shell, or a leftover")
        try await servers.postgres.stop()
    }

    @Test("a drill that is passed whole is the bundle's highest proof, seen by its age from the host that cannot drill")
    func proof() async throws {
        let folder = try folder()
        let site = try await Site.make(
            sources: """
                - name: search
                  adapter: sqlite
                  path: $DIR/search.db
                  drill:
                    assert:
                      - sql: select count(*) = 3 from notes
                      - command: [sh, -c, 'test "$(sqlite3 "$SALVOR_DRILL_PATH" "select min(body) from notes")" = one']
                - name: config
                  adapter: files
                  paths: [$DIR/etc]
                  drill: {assert: [{command: [sh, -c, 'grep -rq "listen 80" "$SALVOR_DRILL_PATH"']}]}
                """)
        try site.folder.write("etc/app.conf", "listen 80\n")
        func sqlite(_ text: String) async throws {
            _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        }
        try await sqlite("CREATE TABLE notes(body TEXT); INSERT INTO notes VALUES ('one'), ('two'), ('three');")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan.replacingOccurrences(of: "{recovery-point: 26h}", with: "{recovery-point: 26h, drill-every: 30d}"))
        try await site.ok(["backup"])
        #expect(try await site.ok(["status"]).contains("no drill is known of here"))
        let part = try await site.ok(["drill", "--source", "config", "--folder", folder.path], as: site.owner)
        #expect(part.contains("not recorded as a proof: only a complete bundle, drilled whole"), "\(part)")
        #expect(!(try await site.ok(["list-backups"])).contains("drill"))

        var owner = site.owner
        owner.environment["SALVOR_STATE_DIR"] = site.folder("elsewhere")
        let passed = try await site.ok(["drill", "--folder", folder.path], as: owner)
        #expect(passed.contains("2 assertions hold") && passed.contains("recorded at"), "\(passed)")
        #expect(try await site.ok(["list-backups", "--verify"]).contains("drill "))
        #expect(try await site.ok(["show", "latest"]).contains("proven      drill, "))
        let status = try await site.ok(["status"])
        #expect(status.contains("drill ") && !status.contains("last drill: never"), "\(status)")
        #expect(!status.contains("no drill is known"))
        try await site.ok(["validate-backup", "latest", "--level", "presence"])
        #expect(try await site.ok(["list-backups"]).contains("drill "), "a lower level takes nothing back")

        // What was true of that night is not of the next.
        try await sqlite("DELETE FROM notes WHERE body = 'two'")
        try await site.ok(["backup"])
        let failed = try await owner.run(["drill", "--folder", folder.path])
        #expect(failed.status == 1, "\(failed)")
        #expect(
            failed.output.contains(
                "source 'search': assertion 1 (select count(*) = 3 from notes) does not hold: it gives '0'"),
            "\(failed.output)")
        #expect(failed.output.contains("NOT PASSED") && !failed.output.contains("recorded at"))
        let listed = try await site.ok(["list-backups"])
        #expect(listed.components(separatedBy: "drill ").count == 2, "\(listed)")
    }

    @Test("SQLite and programs: what is no true value, or fails, is told; nothing can be changed by asking")
    func wrong() async throws {
        let folder = try folder()
        let site = try await Site.make(sources: "- name: search\n  adapter: sqlite\n  path: $DIR/search.db")
        _ = try await StockProgram.run(
            "sqlite3", [site.folder("search.db"), "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);"])
        try await site.ok(["backup"])
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        for (assertions, words) in [
            ("[{sql: select null}]", "assertion 1 (select null) does not hold: it gives NULL"),
            ("[{sql: select a from t}]", "it does not give one row of one value"),
            ("[{sql: 'select 1, 2'}]", "it does not give one row of one value"),
            ("[{sql: select 0.0}]", "it gives '0.0'"), ("[{sql: select 'false'}]", "it gives 'false'"),
            ("[{sql: select nonsense}]", "SQLite says: no such column"),
            ("[{sql: delete from t returning 1}]", "SQLite says: "), ("[{sql: select 1, database: x}]", "SQLite file"),
            (
                "[{sql: 'with recursive c(i) as (select 1 union all select i + 1 from c) select count(*) from c', time-limit: 1s}]",
                "does not answer within 1s"
            ),
            (#"[{command: [sh, -c, "echo too few >&2; exit 3"]}]"#, "does not hold: exit status 3: too few"),
            ("[{command: [/no/such/program]}]", "/no/such/program"),
            ("[{command: [sleep, '60'], time-limit: 1s}]", "does not answer within 1s"),
        ] {
            try ask(site, plan, ["search": assertions])
            let failed = try await site.owner.run(["drill", "--folder", folder.path])
            #expect(
                failed.status != 0 && failed.output.contains(words), "\(assertions): \(failed.output)\(failed.errors)")
        }
        try ask(site, plan, ["search": "[{sql: select count(*) from t}, {sql: select 'true'}, {sql: select 0.5}]"])
        let passed = try await site.ok(["drill", "--folder", folder.path], as: site.owner)
        #expect(passed.contains("3 assertions hold"), "\(passed)")
    }

    @Test("secrets and logs come back below the drill's folder, with the live ones gone, and are asked there")
    func files() async throws {
        let folder = try folder()
        let site = try await Site.make(
            sources: """
                - name: keys
                  adapter: secrets
                  paths: [$DIR/keys]
                  drill: {assert: [{command: [sh, -c, 'grep -rq s3cret "$SALVOR_DRILL_PATH"']}]}
                - name: logs
                  adapter: logs
                  paths: [$DIR/log]
                  drill: {assert: [{command: [sh, -c, 'grep -rq started "$SALVOR_DRILL_PATH"']}]}
                """)
        try site.folder.write("keys/token", "s3cret\n")
        try site.folder.write("log/app.log", "started\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: site.folder("keys/token"))
        try await site.ok(["backup"])
        for name in ["keys", "log"] { try FileManager.default.removeItem(atPath: site.folder(name)) }
        let passed = try await site.ok(["drill", "--folder", folder.path], as: site.owner)
        #expect(passed.components(separatedBy: "1 assertion holds").count == 3, "\(passed)")
        #expect(passed.contains("recorded at") && !FileManager.default.fileExists(atPath: site.folder("keys")))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test("what cannot be asked is told with file and line, before anything runs")
    func configuration() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        for (text, words) in [
            ("{assert: [{sql: select 1}]}", "asks with 'sql'"), ("{assert: []}", "must list what is to hold"),
            ("{assert: [{command: ls -l}]}", "must be a list"),
            ("{assert: [{command: [ls], sql: x}]}", "cannot stand beside"),
            ("{assert: [{database: x}]}", "or 'command' is required"), ("{asert: []}", "Did you mean 'assert'?"),
            ("{assert: [{command: [ls], database: x}]}", "belongs to 'sql'"),
            ("{}", "must list what is to hold"), ("{restore: ls -l}", "must be a list"),
            ("{restore: [ls], assert: []}", "must list what is to hold"),
            ("{restore: [ls]}", "'files' sources take no program there"),
        ] {
            try site.folder.write(
                "plan.yaml", plan.replacingOccurrences(of: "etc]}", with: "etc], drill: \(text)}"))
            let checked = try await site.host.run(["config", "check"])
            #expect(checked.status == 2 && checked.errors.contains(words), "\(text): \(checked.errors)")
            #expect(checked.errors.contains("plan.yaml:"), "\(checked.errors)")
        }
        try site.folder.write(
            "plan.yaml", plan.replacingOccurrences(of: "etc]}", with: "etc], drill: {assert: [{command: [ls, '-l']}]}}")
        )
        try await site.ok(["config", "check"])
        let shown = try await site.ok(["config", "show"])
        #expect(shown.contains("command:") && shown.contains("\"-l\""), "\(shown)")
    }
}
