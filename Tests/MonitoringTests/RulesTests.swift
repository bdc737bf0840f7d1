// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Monitoring
import Operations
import TestSupport
import Testing

/// The files of manifests/monitoring, by Prometheus's own tool and against the metrics that are exported.
@Suite("Alert rules and dashboard")
struct RulesTests {
    private static let folder = SampleEntries.projectFile("manifests/monitoring")

    private func promtool(_ arguments: [String]) async throws {
        let outcome = try await StockProgram.run("promtool", arguments, directory: Self.folder)
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)\(outcome.text)")
    }

    private func read(_ name: String) throws -> String {
        try String(contentsOfFile: "\(Self.folder)/\(name)", encoding: .utf8)
    }

    /// Every `salvor_…` in a text.
    private func metrics(in text: String) -> Set<String> {
        Set(text.matches(of: /salvor_[a-z_]+/).map { String($0.output) })
    }

    private var exported: Set<String> {
        Set(StatusMetrics.families([SampleEntries.healthy()], version: "1").map(\.name))
    }

    @Test("the rules are well-formed, and fire and fall silent when they should")
    func rules() async throws {
        try await promtool(["check", "rules", "salvor.rules.yml"])
        try await promtool(["test", "rules", "salvor.rules.test.yml"])
        let rules = try read("salvor.rules.yml")
        let tests = try read("salvor.rules.test.yml")
        for alert in rules.matches(of: /alert: (Salvor[A-Za-z]+)/) {
            let name = String(alert.output.1)
            let isTested = tests.contains(name) || name.hasPrefix("SalvorSource") && tests.contains("SalvorSource(")
            #expect(isTested, "\(name) has no test")
        }
    }

    @Test("rules and dashboard ask only for metrics that are exported")
    func names() throws {
        for file in ["salvor.rules.yml", "salvor.rules.test.yml", "salvor-dashboard.json"] {
            let unknown = metrics(in: try read(file)).subtracting(exported)
            #expect(unknown.isEmpty, "\(file): \(unknown.sorted())")
        }
    }

    @Test("the documentation names every metric and every alert")
    func documentation() throws {
        let page = try String(contentsOfFile: SampleEntries.projectFile("docs/monitoring.md"), encoding: .utf8)
        let rules = try read("salvor.rules.yml")
        let alerts = rules.matches(of: /alert: (Salvor[A-Za-z]+)/).map { String($0.output.1) }
        for name in exported.sorted() + alerts { #expect(page.contains("`\(name)"), "\(name)") }
        #expect(metrics(in: page).subtracting(exported).isEmpty)
    }

    @Test("every expression of the dashboard is one that Prometheus understands")
    func dashboard() async throws {
        struct Dashboard: Decodable {
            struct Panel: Decodable {
                struct Target: Decodable { var expr: String }
                var title: String
                var targets: [Target]
            }
            var uid: String
            var panels: [Panel]
        }
        let board = try JSONDecoder().decode(Dashboard.self, from: Data(try read("salvor-dashboard.json").utf8))
        let expressions = board.panels.flatMap { panel in panel.targets.map(\.expr) }
        #expect(board.panels.allSatisfy { !$0.title.isEmpty && !$0.targets.isEmpty } && expressions.count > 10)
        var rules = "groups:\n  - name: dashboard\n    rules:\n"
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        for (index, expression) in expressions.enumerated() {
            let quoted = String(decoding: try encoder.encode(expression), as: UTF8.self)
            rules += "      - record: dashboard:expression:number\(index)\n        expr: \(quoted)\n"
        }
        let directory = try TemporaryDirectory("dashboard")
        try await promtool(["check", "rules", try directory.write("dashboard.yml", rules)])
    }
}
