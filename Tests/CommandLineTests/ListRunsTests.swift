// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@Suite("Runs and their records at the command line")
struct ListRunsTests {
    private struct Listing: Decodable {
        struct Result: Decodable {
            var runs: [RunRecord]
            var pending: [BundleID]
        }
        var result: Result
    }

    private func runs(_ site: Site, _ options: [String] = []) async throws -> Listing.Result {
        let text = try await site.ok(["list-runs", "--json"] + options)
        return try JSONDecoder().decode(Listing.self, from: Data(text.utf8)).result
    }

    @Test("good, partial and failed runs, runs without a repository and killed ones are all told, here and later there")
    func all() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                """)
        try site.folder.write("etc/app.conf", "listen 80\n")
        _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), "CREATE TABLE t(a);"])
        try await site.ok(["backup"])
        try FileManager.default.moveItem(atPath: site.folder("search.db"), toPath: site.folder("away.db"))
        #expect(try await site.host.run(["backup"]).status == 3)
        let bundles = try await site.bundles()
        var found = try await runs(site)
        #expect(found.runs.map(\.outcome) == [.ok, .partial] && found.runs.map(\.id.text) == bundles)
        #expect(found.runs[1].sources.first { $0.name == "search" }?.failure?.code == "preflight.refused")

        try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("gone"))
        #expect(try await site.host.run(["backup"]).status == 7)
        found = try await runs(site, ["--local"])
        #expect(found.runs.map(\.outcome) == [.ok, .partial, .failed] && found.pending.count == 1)
        #expect(found.runs[2].failure?.code == "storage.unreachable" && found.runs[2].bundle == nil)
        try FileManager.default.moveItem(atPath: site.folder("gone"), toPath: site.folder("repo"))
        try FileManager.default.moveItem(atPath: site.folder("away.db"), toPath: site.folder("search.db"))

        let reached = site.folder("state/runs/nightly/begun.json")
        let killed = try await site.host.run(
            ["backup"], when: { FileManager.default.fileExists(atPath: reached) })
        #expect(killed.status == 137)
        try await site.ok(["backup"])
        found = try await runs(site)
        #expect(found.runs.map(\.outcome) == [.ok, .partial, .failed, .died, .ok], "\(found)")
        #expect(found.pending == [])
        try await site.ok(["validate-backup", "latest"])
        #expect(try await runs(site, ["--kind", "validate"]).runs.map(\.bundle?.text) == [site.bundles().last])
        #expect(try await runs(site, ["--last", "2"]).runs.count == 2)
        let text = try await site.ok(["list-runs"])
        #expect(text.contains("PARTIAL") && text.contains("DIED") && text.contains("storage.unreachable"), "\(text)")
    }

    @Test("a record that somebody changed is named, left out, and makes the status 8")
    func forged() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/app.conf", "listen 80\n")
        try await site.ok(["backup"])
        try await site.ok(["backup"])
        let name = try #require(
            try site.tree("repo/runs").keys.filter { $0.hasSuffix(".json") }.min())
        let path = "repo/runs/\(name)"
        let text = try String(contentsOfFile: site.folder(path), encoding: .utf8)
        try site.folder.write(path, text.replacingOccurrences(of: "\"ok\"", with: "\"failed\""))
        let outcome = try await site.host.run(["list-runs"])
        #expect(outcome.status == 8 && outcome.output.contains("does not count"), "\(outcome)")
        #expect(!outcome.output.contains("FAILED"))
    }
}
