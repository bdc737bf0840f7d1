// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Drills", .serialized)
struct DrillTests {
    private struct Report: Decodable {
        struct Source: Decodable {
            struct Problem: Decodable { var code: String }
            var name: String
            var facts: Int
            var failure: Problem?
        }
        struct Result: Decodable { var sources: [Source] }
        var result: Result
    }

    /// A folder that other accounts may pass, as an engine's must be.
    private func folder() throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("drills")
        try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: folder.path)
        return folder
    }

    private func left(_ folder: TemporaryDirectory) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path)
    }

    private func report(_ text: String) throws -> [Report.Source] {
        try JSONDecoder().decode(Report.self, from: Data(text.utf8)).result.sources
    }

    @Test("PostgreSQL, Redis and files come back in engines of their own, while the live ones are gone")
    func whole() async throws {
        let servers = try await ServerSite.make()
        let (site, folder) = (servers.site, try folder())
        try await site.ok(["backup"])
        try await servers.postgres.stop()
        try servers.redis.cli("FLUSHALL")
        try site.folder.write("etc/app.conf", "listen 81\n")
        let tree = try site.tree("etc")

        // The backup host has no key: that is no drill.
        let refused = try await site.host.run(["drill", "--folder", folder.path])
        #expect(refused.status == 9, "\(refused)")
        let text = try await site.ok(["drill", "--folder", folder.path, "--json"], as: site.owner)
        let sources = try report(text)
        #expect(Set(sources.map(\.name)) == ["cache", "app-db", "config"])
        #expect(sources.allSatisfy { $0.failure == nil && $0.facts > 0 }, "\(text)")

        // What is live was neither reached nor changed, and nothing of the copy is left.
        #expect(try site.tree("etc") == tree)
        #expect(try servers.redis.cli("DBSIZE").contains("0"))
        #expect(try left(folder) == [])
        #expect(try servers.processes().filter { $0.contains("postgres") || $0.contains("redis.conf") } == [])
        let runs = try await site.ok(["list-runs"], as: site.owner)
        #expect(runs.split(separator: "\n").contains { $0.contains("drill") && $0.contains("ok") }, "\(runs)")
        let status = try await site.owner.run(["status"])
        #expect(status.output.contains("last drill: ") && !status.output.contains("last drill: never"), "\(status)")
    }

    @Test("a copy that is damaged fails the drill, with its source and why, and leaves nothing")
    func damaged() async throws {
        let (servers, folder) = (try await ServerSite.make(), try folder())
        let site = servers.site
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().first)
        var damaged = 0
        for case let path as String in FileManager.default.enumerator(atPath: site.folder("repo"))
            ?? FileManager.DirectoryEnumerator() where path.contains("/app-db/") && path.hasSuffix(".gpg")
        {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: site.folder("repo/\(path)")))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: site.folder("repo/\(path)")))
            damaged += 1
        }
        try #require(damaged > 0)
        let outcome = try await site.owner.run(["drill", bundle, "--folder", folder.path, "--json"])
        #expect(outcome.status != 0)
        let sources = try report(outcome.output)
        #expect(sources.first { $0.name == "app-db" }?.failure?.code.hasPrefix("integrity.") == true, "\(outcome)")
        #expect(sources.filter { $0.failure == nil }.map(\.name).sorted() == ["cache", "config"])
        #expect(try left(folder) == [])
        try await servers.postgres.stop()
    }

    @Test("a drill that takes longer than the plan's recovery-time is not passed: status 10")
    func late() async throws {
        let (servers, folder) = (try await ServerSite.make(), try folder())
        let site = servers.site
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml",
            plan.replacingOccurrences(of: "{recovery-point: 26h}", with: "{recovery-point: 26h, recovery-time: 1s}"))
        try await site.ok(["backup"])
        let outcome = try await site.owner.run(["drill", "--folder", folder.path])
        #expect(outcome.status == 10, "\(outcome)")
        #expect(outcome.output.contains("NOT PASSED") && outcome.output.contains("1 s are allowed"), "\(outcome)")
        try await servers.postgres.stop()
    }

    @Test("killed in the middle, its servers end with it, and the next drill removes its folder")
    func killed() async throws {
        let (servers, folder) = (try await ServerSite.make(), try folder())
        let site = servers.site
        try await site.ok(["backup"])
        let path = folder.path
        let outcome = try await site.owner.run(
            ["drill", "--folder", path],
            when: {
                let found = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
                return found.contains { $0.hasSuffix("data/postmaster.pid") }
            })
        #expect(outcome.status == 137, "\(outcome)")
        #expect(try left(folder).count == 1)
        func running(below path: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid in
                guard Int(pid) != nil, let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
                    return nil
                }
                let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
                return text.contains(path) ? text : nil
            }
        }
        let deadline = ContinuousClock.now + .seconds(15)
        while try !running(below: path).isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(try running(below: path) == [])
        try await site.ok(["drill", "--folder", path], as: site.owner)
        #expect(try left(folder) == [])
        try await servers.postgres.stop()
    }

    @Test("bad places are told: a folder that is not there, one whose path is not absolute, no such bundle")
    func badInput() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/a", "a\n")
        try await site.ok(["backup"])
        let missing = try await site.owner.run(["drill", "--folder", site.folder("none")])
        #expect(missing.status == 1 && missing.errors.contains("--folder"), "\(missing)")
        #expect(try await site.owner.run(["drill", "--folder", "here"]).status == 2)
        #expect(try await site.owner.run(["drill", "20250101", "--folder", "/var/tmp"]).status == 5)
        // Its path goes below the drill's folder and nowhere else.
        let folder = try folder()
        try await site.ok(["drill", "--folder", folder.path], as: site.owner)
        #expect(try left(folder) == [])
    }
}
