// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Prune after runs of all kinds")
struct PruneAfterRunsTests {
    private struct Envelope: Decodable {
        struct Report: Decodable {
            struct Entry: Decodable {
                struct Decision: Decodable {
                    struct Reason: Decodable { var code: String }
                    var bundle: String
                    var reasons: [Reason]
                }
                var decision: Decision
                var state: String
            }
            struct Blocker: Decodable { var code: String }
            var bundles: [Entry]
            var blockers: [Blocker]
        }
        var result: [Report]
    }

    private func prune(_ site: Site, _ status: Int32) async throws -> Envelope.Report {
        let outcome = try await site.host.run(["prune", "--json"])
        #expect(outcome.status == status, "\(outcome.errors)")
        return try #require(
            try JSONDecoder().decode(Envelope.self, from: Data(outcome.output.utf8)).result.first)
    }

    @Test("a run of some sources does not stand for a whole night; failed and partial runs stop it until a good one")
    func kinds() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: logs, adapter: files, paths: [$DIR/logs]}
                """, encryption: "retention: {yearly: 1, minimum-good: 1}")
        try site.folder.write("etc/app.conf", "listen 80\n")
        try site.folder.write("logs/app.log", "started\n")
        #expect(try await prune(site, 4).blockers.map(\.code) == ["listing-empty"])
        try await site.ok(["backup", "--full"])
        let whole = try #require(try await site.bundles().first)
        try await site.ok(["backup", "--full", "--source", "config"])
        // Both may be of the same second.
        let entries = try await prune(site, 0).bundles
        #expect(entries.count == 2)
        for entry in entries {
            #expect(entry.state == (entry.decision.bundle == whole ? "kept" : "unmarked"))
            if entry.state != "kept" { #expect(entry.decision.reasons.map(\.code) == ["superseded"]) }
        }

        try FileManager.default.moveItem(atPath: site.folder("logs"), toPath: site.folder("gone"))
        #expect(try await site.host.run(["backup"]).status == 3)
        #expect(try await prune(site, 4).blockers.map(\.code) == ["last-run-failed"])
        try FileManager.default.moveItem(atPath: site.folder("etc"), toPath: site.folder("etc.gone"))
        #expect(try await site.host.run(["backup"]).status != 0)
        #expect(try await prune(site, 4).blockers.map(\.code) == ["last-run-failed"])
        for (from, to) in [("gone", "logs"), ("etc.gone", "etc")] {
            try FileManager.default.moveItem(atPath: site.folder(from), toPath: site.folder(to))
        }
        try await site.ok(["backup", "--full"])
        let good = try await prune(site, 0)
        #expect(good.bundles.map(\.state).sorted() == ["kept", "unmarked", "unmarked", "unmarked"], "\(good)")
        #expect(good.bundles.first { $0.state == "kept" }?.decision.bundle != whole)
        try await site.ok(["prune", "--apply"])
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
    }
}
