// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `kill -9` at seeded moments: what is committed validates, the next run succeeds, nothing live is half replaced.
@Suite("Killed at any moment", .serialized)
struct KillTests {
    private static let sources = """
        - name: config
          adapter: files
          paths: [$DIR/etc]
        - name: search
          adapter: sqlite
          path: $DIR/search.db
        """

    private func site() async throws -> Site {
        let site = try await Site.make(sources: Self.sources)
        for number in 0..<20 {
            try site.folder.write("etc/\(number).conf", String(repeating: "\(number)\n", count: 100))
        }
        _ = try await StockProgram.run(
            "sqlite3", [site.folder("search.db"), "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (3);"])
        return site
    }

    @Test("200 moments of a backup")
    func backups() async throws {
        let site = try await site()
        var moments = try await KillMoments(seed: 20_261_121) { try await site.ok(["backup"]) }
        for round in 0..<200 {
            try site.folder.write("etc/\(round % 20).conf", "round \(round)\n")
            moments.note(try await site.host.run(["backup"], after: moments.next()))
        }
        try await site.ok(["backup"])
        // Deltas and incrementals of all those nights, with the bases they share: none is broken.
        try await site.ok(["validate-backup", "latest", "--all", "--level", "checksum"])
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        let target = site.folder("out")
        try await site.ok(["restore", "latest", "--to-directory", target], as: site.owner)
        #expect(try site.tree("out/config\(site.folder("etc"))") == site.tree("etc"))
    }

    @Test("100 moments of a restore: the live tree is the old one or the new one, and rolls back to the old one")
    func restores() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().last)
        let new = try site.tree("etc")
        for number in 0..<20 { try site.folder.write("etc/\(number).conf", "live \(number)\n") }
        _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), "DELETE FROM t WHERE a = 2;"])
        let old = try site.tree("etc")
        let arguments = ["restore", bundle, "--yes", "--no-safety-bundle"]
        var moments = try await KillMoments(seed: 3) { try await site.ok(arguments, as: site.owner) }
        try await rollBackAll(site)
        #expect(try site.tree("etc") == old)
        for round in 0..<100 {
            moments.note(try await site.owner.run(arguments, after: moments.next()))
            let tree = try site.tree("etc")
            #expect(tree == old || tree == new, "round \(round) left half a tree")
            let rows = try await StockProgram.run("sqlite3", [site.folder("search.db"), "SELECT a FROM t ORDER BY a"])
                .text
            #expect(rows == "1\n3\n" || rows == "1\n2\n3\n", "round \(round) left the rows \(rows)")
            try await rollBackAll(site)
            #expect(try site.tree("etc") == old, "round \(round) did not roll back")
        }
        let rows = try await StockProgram.run("sqlite3", [site.folder("search.db"), "SELECT a FROM t ORDER BY a"]).text
        #expect(rows == "1\n3\n")
        let left = try FileManager.default.contentsOfDirectory(atPath: site.folder.path)
        #expect(!left.contains { $0.contains("salvor-") || $0.contains("before-") }, "\(left)")
    }

    private func rollBackAll(_ site: Site) async throws {
        for restore in try await site.openRestores() {
            try await site.ok(["restore", "--rollback", restore, "--yes"], as: site.owner)
        }
    }

    @Test("SIGINT and SIGTERM end a backup with their own statuses and leave nothing behind")
    func signals() async throws {
        let site = try await site()
        try Data(count: 300 << 20).write(to: URL(fileURLWithPath: site.folder("etc/large")))
        for (signal, status) in [(SIGINT, Int32(130)), (SIGTERM, 143)] {
            let outcome = try await site.host.run(["backup"], after: 0.8, signal: signal)
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(try await site.bundles().isEmpty)
            #expect(try site.tree("repo/bundles").values.allSatisfy(\.isEmpty))
        }
    }
}
