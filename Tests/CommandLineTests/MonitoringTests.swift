// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

/// status, its metrics file, serve and report, as monitors call them.
@Suite("Monitoring")
struct MonitoringTests {
    private func site() async throws -> Site {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: a-source-with-a-rather-long-name-in-it, adapter: files, paths: [$DIR/etc]}
                """)
        try site.folder.write("etc/app.conf", "listen 80\n")
        return site
    }

    private func value(_ metric: String, _ text: String) -> String? {
        text.split(separator: "\n").first { $0.hasPrefix("\(metric) ") || $0.hasPrefix("\(metric){") }
            .flatMap { $0.split(separator: " ").last.map(String.init) }
    }

    @Test("the table fits eighty columns and shows each plan and source, what comes next and what is wrong")
    func table() async throws {
        let site = try await site()
        let before = try await site.host.run(["status"])
        #expect(before.status == 10 && before.output.contains("PROBLEM nightly: no complete bundle yet"))
        try await site.ok(["backup"])
        try await site.ok(["validate-backup", "latest"])
        let text = try await site.ok(["status"])
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        for words in ["PLAN ", "SOURCE ", "checksum 0s", " 26h ", "config ", "next run:", "last drill: never", " free"]
        {
            #expect(text.contains(words) || words == "checksum 0s" && text.contains("checksum "), "\(words)\n\(text)")
        }
        struct Envelope: Decodable {
            struct Entry: Decodable {
                struct Source: Decodable {
                    struct Size: Decodable { var rawBytes: Int, seconds: Double }
                    var name: String, lastGood: String, size: Size
                }
                struct Key: Decodable { var role: String, fingerprint: String }
                var plan: String, reachable: Bool, lastGood: String, ageSeconds: Int, objectiveSeconds: Int
                var sources: [Source], keys: [Key], problems: [String], warnings: [String], bundles: Int
            }
            var result: [Entry]
        }
        let json = try await site.ok(["status", "--json"])
        let entry = try #require(try JSONDecoder().decode(Envelope.self, from: Data(json.utf8)).result.first)
        #expect(entry.reachable && entry.bundles == 1 && entry.problems.isEmpty && entry.objectiveSeconds == 93_600)
        #expect(entry.sources.count == 2 && entry.sources.allSatisfy { $0.lastGood == entry.lastGood })
        #expect(Set(entry.keys.map(\.role)) == ["recipient", "signer"])
    }

    @Test("--nagios says one line and 0, 2 or 3, whatever is wrong")
    func nagios() async throws {
        let site = try await site()
        var outcome = try await site.host.run(["status", "--nagios"])
        #expect(outcome.status == 2 && outcome.output.hasPrefix("SALVOR CRITICAL - nightly: no complete bundle yet"))
        try await site.ok(["backup"])
        outcome = try await site.host.run(["status", "--nagios"])
        #expect(outcome.status == 0 && outcome.output.hasPrefix("SALVOR OK - nightly: "), "\(outcome.output)")
        #expect(outcome.output.contains(" | 'nightly age'=") && outcome.output.split(separator: "\n").count == 1)
        for (arguments, extra) in [
            (["status", "--nagios", "weekly"], [:]), (["status", "--nagios", "--no-such-option"], [:]),
            (["status", "--nagios"], ["SALVOR_CONFIG": "/not/there"]),
        ] as [([String], [String: String])] {
            var host = site.host
            host.environment.merge(extra) { $1 }
            outcome = try await host.run(arguments)
            #expect(outcome.status == 3 && outcome.output.hasPrefix("SALVOR UNKNOWN - "), "\(arguments): \(outcome)")
            #expect(outcome.output.split(separator: "\n").count == 1)
        }
        try FileManager.default.removeItem(atPath: site.folder("repo"))
        outcome = try await site.host.run(["status", "--nagios"])
        #expect(outcome.status == 2 && outcome.output.contains("is not there"), "\(outcome.output)")
    }

    @Test("--metrics-file writes what promtool accepts; a missing folder or a full disk is an error that says so")
    func metricsFile() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let file = site.folder("salvor.prom")
        try await site.ok(["status", "--metrics-file", file])
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let promtool = try await StockProgram.run("promtool", ["check", "metrics"], input: Array(text.utf8))
        #expect(promtool.status == 0 && promtool.errors.isEmpty, "\(promtool.errors)")
        #expect(value("salvor_repository_up", text) == "1" && value("salvor_problems", text) == "0")
        #expect(try await site.ok(["status", "--metrics-file", "-"]).hasPrefix("# HELP salvor_build_info "))
        let missing = try await site.host.run(["status", "--metrics-file", site.folder("x/salvor.prom"), "--json"])
        #expect(missing.status == 1 && missing.output.contains("local.io"), "\(missing)")
        guard let disk = try SmallDisk.mounted(at: "small", in: site.folder, kibibytes: 16) else { return }
        try disk.fill(leaving: 0)
        let full = try await site.host.run(["status", "--metrics-file", "\(disk.path)/salvor.prom", "--json"])
        #expect(full.status == 1 && full.output.contains("local.space"), "\(full)")
        withExtendedLifetime(disk) {}
    }

    @Test(
        "each run writes the metrics file that salvor.yaml names, whatever its outcome, of all plans; none fails for it"
    )
    func afterRuns() async throws {
        let site = try await site()
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("config/plans/nightly.yaml", plan)
        try site.folder.write("config/plans/weekly.yaml", plan.replacing("plan: nightly", with: "plan: weekly"))
        let file = site.folder("metrics/salvor.prom")
        try site.folder.write("config/salvor.yaml", "metrics-file: \(file)\n")
        var host = site.host
        host.environment["SALVOR_CONFIG"] = site.folder("config")
        // The folder is missing: a line for the operator, and a backup.
        var outcome = try await host.run(["backup", "nightly"])
        #expect(outcome.status == 0 && outcome.errors.contains("the metrics were not written"), "\(outcome)")
        let doctor = try await host.run(["doctor"])
        #expect(doctor.output.contains("WARNING  metrics file: there is no folder"), "\(doctor.output)")
        try FileManager.default.createDirectory(atPath: site.folder("metrics"), withIntermediateDirectories: true)
        outcome = try await host.run(["backup", "nightly"])
        #expect(outcome.status == 0 && !outcome.errors.contains("metrics"), "\(outcome.errors)")
        func text() throws -> String { try String(contentsOfFile: file, encoding: .utf8) }
        let line = "salvor_run_outcome{plan=\"nightly\",kind=\"backup\",outcome="
        #expect(try text().contains("\(line)\"ok\"} 1\n") && text().contains("repository_bundles{plan=\"nightly\"} 2"))
        #expect(try !text().contains("weekly"))
        try await site.ok(["backup", "weekly"], as: host)
        #expect(try text().contains("bundles{plan=\"nightly\"} 2") && text().contains("bundles{plan=\"weekly\"} 1"))
        try await site.ok(["validate-backup", "latest:nightly"], as: host)
        #expect(try text().contains("kind=\"validate\",outcome=\"ok\"} 1"))
        // A run that fails, with its store gone.
        try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("away"))
        #expect(try await host.run(["backup", "nightly"]).status != 0)
        #expect(try text().contains("\(line)\"failed\"} 1\n") && text().contains("repository_up{plan=\"nightly\"} 0"))
        #expect(try text().contains("repository_up{plan=\"weekly\"} 1"), "what was noted of it last")
        let promtool = try await StockProgram.run("promtool", ["check", "metrics"], input: Array(try text().utf8))
        #expect(promtool.status == 0 && promtool.errors.isEmpty, "\(promtool.errors)")
        try FileManager.default.moveItem(atPath: site.folder("away"), toPath: site.folder("repo"))
        guard let disk = try SmallDisk.mounted(at: "metrics", in: site.folder, kibibytes: 16) else { return }
        try disk.fill(leaving: 0)
        outcome = try await host.run(["backup", "nightly"])
        #expect(outcome.status == 0 && outcome.errors.contains("No space left"), "\(outcome)")
        withExtendedLifetime(disk) {}
    }

    /// Runs `serve` beside `body`, which is given the server's address; gives how it ended after SIGTERM.
    private func serving(
        _ site: Site, _ arguments: [String] = [], _ body: @escaping @Sendable (String) async throws -> Void
    ) async throws -> SalvorProcess.Outcome {
        let port = try LoopbackSocket.freePorts(1)[0]
        let isOver = Flag()
        async let outcome = site.host.run(
            ["serve", "--metrics-only", "--listen", "127.0.0.1:\(port)"] + arguments, when: { isOver.isSet },
            signal: SIGTERM)
        do { try await body("http://127.0.0.1:\(port)") } catch {
            isOver.set()
            _ = try await outcome
            throw error
        }
        isOver.set()
        return try await outcome
    }

    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    private func get(_ url: String) async throws -> String {
        let outcome = try await StockProgram.run(
            "curl", ["-sS", "--max-time", "20", "--retry", "50", "--retry-connrefused", "--retry-delay", "0", url])
        guard outcome.status == 0 else { throw Failure(.programFailed, "\(url): \(outcome.errors)") }
        return outcome.text
    }

    /// Scrapes until the metric has the value: the next look at the store brings it.
    private func wait(_ url: String, _ metric: String, _ expected: String) async throws -> String {
        for _ in 0..<600 {
            let text = try await get("\(url)/metrics")
            if value(metric, text) == expected { return text }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(.programFailed, "\(metric) did not become \(expected)")
    }

    @Test("serve gives the metrics, tells when the store is down and comes back, and ends in order on SIGTERM")
    func serve() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let outcome = try await serving(site, ["--refresh", "1s", "--timeout", "20"]) { url in
            #expect(try await get("\(url)/healthz") == "ok\n")
            let text = try await wait(url, "salvor_repository_up", "1")
            let promtool = try await StockProgram.run("promtool", ["check", "metrics"], input: Array(text.utf8))
            #expect(promtool.status == 0 && promtool.errors.isEmpty, "\(promtool.errors)")
            #expect(value("salvor_repository_bundles", text) == "1")
            try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("away"))
            _ = try await wait(url, "salvor_repository_up", "0")
            #expect(try await get("\(url)/healthz") == "ok\n")
            try FileManager.default.moveItem(atPath: site.folder("away"), toPath: site.folder("repo"))
            _ = try await wait(url, "salvor_repository_up", "1")
        }
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.output.hasPrefix("serving http://127.0.0.1:") && outcome.errors.isEmpty, "\(outcome)")
    }

    @Test("however often somebody scrapes, the store is looked at once in the while that was asked for")
    func caching() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let outcome = try await serving(site) { url in
            let first = try await wait(url, "salvor_repository_up", "1")
            for _ in 0..<20 { #expect(try await get("\(url)/metrics") == first) }
        }
        #expect(outcome.status == 0)
        let taken = try LoopbackSocket.listening()
        let refused = try await site.host.run([
            "serve", "--metrics-only", "--listen", "127.0.0.1:\(taken.port)", "--json",
        ])
        #expect(refused.status == 1 && refused.output.contains("unable to listen"), "\(refused)")
        withExtendedLifetime(taken) {}
        #expect(try await site.host.run(["serve"]).status == 2)
        #expect(try await site.host.run(["serve", "--metrics-only", "--listen", "somewhere:1"]).status == 2)
    }

    @Test("report writes one page that holds plans, bundles and their proof, also of a store that is down")
    func report() async throws {
        let site = try await site()
        try await site.ok(["backup", "--comment", "<script>alert('x')</script>"])
        try await site.ok(["validate-backup", "latest"])
        let file = site.folder("report.html")
        #expect(try await site.ok(["report", "--html", file]).hasPrefix("wrote \(file)"))
        let page = try String(contentsOfFile: file, encoding: .utf8)
        let bundle = try #require(try await site.bundles().first)
        #expect(page.contains(bundle) && page.contains("&lt;script&gt;") && !page.contains("<script"))
        #expect(page.contains("proven: checksum"))
        try FileManager.default.removeItem(atPath: site.folder("repo"))
        let dead = try await site.ok(["report", "--html", "-"])
        #expect(dead.contains("is not there") && dead.hasSuffix("</html>\n"))
        let refused = try await site.host.run(["report", "--html", site.folder("x/y.html"), "--json"])
        #expect(refused.status == 1 && refused.output.contains("local.io"))
    }
}
