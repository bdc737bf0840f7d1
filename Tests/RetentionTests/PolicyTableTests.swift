// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PlanFiles
import Retention
import Testing

/// `retention/<name>.md`: a table of bundles with the decision and the reasons that are expected.
struct PolicyTable {
    struct Row {
        var bundle: RetentionBundle
        var action: RetentionDecision.Action
        var reasons: [String]
    }

    let now: Timestamp
    let rows: [Row]

    static func path(_ name: String, from file: String = #filePath) -> String {
        URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("retention/\(name)").path
    }

    init(_ name: String) throws {
        let text = try String(contentsOfFile: Self.path("\(name).md"), encoding: .utf8)
        let clock = try #require(text.firstMatch(of: /on ([0-9-]+ [0-9:]+)\./))
        now = try Self.time(String(clock.1))
        rows = try text.split(separator: "\n").filter { $0.hasPrefix("| 20") }.map { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 4, "\(line)")
            let reasons = cells[3].split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            return Row(
                bundle: try Self.bundle(cells[0], cells[1]),
                action: try #require(RetentionDecision.Action(rawValue: cells[2])), reasons: reasons)
        }
    }

    private static func time(_ text: String) throws -> Timestamp {
        try #require(Timestamp(text.replacingOccurrences(of: " ", with: "T") + ":00Z"), "\(text)")
    }

    private static func id(_ text: String) throws -> BundleID {
        BundleID(plan: "p", started: try time(text), suffix: "aaaaaa")
    }

    private static func bundle(_ started: String, _ what: String) throws -> RetentionBundle {
        var bundle = RetentionBundle(id: try id(started))
        for word in what.split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            let parts = word.split(separator: " ", maxSplits: 1).map(String.init)
            switch parts[0] {
            case "partial": bundle.isComplete = false
            case "problems": bundle.hasProblems = true
            case "held": bundle.hold = "audit"
            case "deleted": bundle.deletion = "by the operator"
            case "tag": bundle.tags.append(parts[1])
            case "base": bundle.bases.append(try id(parts[1]))
            case "imported":
                bundle.isImported = true
                bundle.at = try time(parts[1])
            default: Issue.record("unknown word '\(word)'")
            }
        }
        return bundle
    }
}

@Suite("Policies of retention/")
struct PolicyTableTests {
    static let names = ["nightly", "seven-days-local", "gfs", "compliance-7y"]

    private func policy(_ name: String) throws -> RetentionPolicy {
        let plan = """
            plan: p
            repository: {store: "file:///r"}
            encryption: {recipients: [0123456789ABCDEF0123456789ABCDEF01234567]}
            sources: [{name: config, adapter: files, paths: [/etc/app]}]
            retention: \(name)
            """
        let read = try PlanReader(adapters: PlanDirectory.knownAdapters).plan(
            try YAMLDocument.parse(plan, file: "/nowhere/plan.yaml"))
        return try #require(read.policy)
    }

    @Test("decides as its table says", arguments: names)
    func table(_ name: String) throws {
        let table = try PolicyTable(name)
        #expect(table.rows.count > 10)
        let decisions = Retention.decide(table.rows.map(\.bundle), policy: try policy(name), now: table.now)
        for row in table.rows {
            let found = try #require(decisions.first { $0.bundle == row.bundle.id })
            #expect(found.action == row.action, "\(found)")
            // For a removal the table may leave open which rule is named.
            if row.reasons != ["*"] { #expect(found.reasons.map(\.code) == row.reasons, "\(found)") }
            if row.action == .remove { #expect(!found.reasons.isEmpty) }
        }
    }

    @Test("every file there has a table and is read")
    func files() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: PolicyTable.path(""))
        #expect(Set(files) == Set(Self.names.flatMap { ["\($0).yaml", "\($0).md"] }))
    }
}
