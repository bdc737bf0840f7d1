// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What everybody hears and sees of a drill that failed.
@Suite("Drills: failures")
struct DrillFailureTests {
    private struct Message: Decodable {
        var event: String
        var what: [String]
    }

    @Test(
        "a failed drill is told once, and shown by status, metrics and report, on the backup host, too, until what failed succeeds"
    )
    func failed() async throws {
        let folder = try TemporaryDirectory("drills")
        try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: folder.path)
        let hook = try HTTPDouble { _ in .response(204) }
        let site = try await Site.make(
            sources: """
                - name: search
                  adapter: sqlite
                  path: $DIR/search.db
                  drill: {assert: [{sql: select count(*) = 2 from notes}]}
                - {name: config, adapter: files, paths: [$DIR/etc]}
                """)
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan
                + "\nnotify:\n  - webhook: {url: \"\(hook.url)/hook\", secret: env:HOOK}\n    on: [drill-failed, recovered]\n"
        )
        func sqlite(_ text: String) async throws {
            _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        }
        try await sqlite("CREATE TABLE notes(body TEXT); INSERT INTO notes VALUES ('one');")
        try site.folder.write("etc/app.conf", "listen 80\n")
        var (host, owner) = (site.host, site.owner)
        host.environment["HOOK"] = "s"
        owner.environment["HOOK"] = "s"
        // Where the key is, which is not where the backups are made.
        owner.environment["SALVOR_STATE_DIR"] = site.folder("elsewhere")
        func events() throws -> [String] {
            try hook.requests.map { try JSONDecoder().decode(Message.self, from: Data($0.body)).event }
        }
        func see(_ machine: SalvorProcess) async throws -> (
            status: SalvorProcess.Outcome, metrics: String, report: String
        ) {
            let metrics = try await machine.run(["status", "--metrics-file", "-"])
            let report = try await machine.run(["report", "--html", "-"])
            return (try await machine.run(["status"]), metrics.output, report.output + report.errors)
        }
        func isShown(_ outcome: String, _ text: String) -> Bool {
            text.contains("salvor_run_outcome{plan=\"nightly\",kind=\"drill\",outcome=\"\(outcome)\"} 1\n")
        }
        try await site.ok(["backup"], as: host)
        #expect(try await host.run(["status"]).status == 0)

        let failed = try await owner.run(["drill", "--folder", folder.path])
        #expect(failed.status == 1, "\(failed)")
        #expect(try events() == ["drill-failed"])
        let first = try #require(hook.requests.first)
        let told = try JSONDecoder().decode(Message.self, from: Data(first.body))
        #expect(told.what.contains { $0.contains("select count(*) = 2 from notes") }, "\(told)")
        for machine in [owner, host] {
            let seen = try await see(machine)
            #expect(seen.status.status == 10, "\(seen.status)")
            #expect(seen.status.output.contains("PROBLEM nightly: the last drill, of "), "\(seen.status.output)")
            #expect(isShown("failed", seen.metrics) && !isShown("ok", seen.metrics), "\(seen.metrics)")
            #expect(seen.report.contains("the last drill, of ") && seen.report.contains("notes"), "\(seen.report)")
        }

        // Another source's success is nothing to this one.
        try await site.ok(["drill", "--source", "config", "--folder", folder.path], as: owner)
        for machine in [owner, host] {
            #expect(try await machine.run(["status"]).output.contains("the last drill, of "))
        }
        #expect(try events() == ["drill-failed"])

        try await sqlite("INSERT INTO notes VALUES ('two')")
        try await site.ok(["backup"], as: host)
        try await site.ok(["drill", "--source", "search", "--folder", folder.path], as: owner)
        #expect(try events() == ["drill-failed", "recovered"])
        for machine in [owner, host] {
            let seen = try await see(machine)
            #expect(seen.status.status == 0 && !seen.status.output.contains("last drill, of"), "\(seen.status)")
            #expect(isShown("ok", seen.metrics) && !isShown("failed", seen.metrics), "\(seen.metrics)")
            #expect(!seen.report.contains("the last drill, of "), "\(seen.report)")
        }
    }
}
