// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("A night and a recovery, by command")
struct NightAndRecoveryTests {
    private static let sources = """
        - name: config
          adapter: files
          paths: [$DIR/etc]
        - name: search
          adapter: sqlite
          path: $DIR/search.db
        """

    private func site(encryption: String = "") async throws -> Site {
        let site = try await Site.make(sources: Self.sources, encryption: encryption)
        for name in ["app.conf", "certs/a.pem", "certs/b.pem"] {
            try site.folder.write("etc/\(name)", String(repeating: "\(name)\n", count: 500))
        }
        try await sql(site, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t(b) VALUES ('one'), ('two');")
        return site
    }

    private func sql(_ site: Site, _ text: String) async throws {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    private func dump(_ site: Site) async throws -> String {
        try await StockProgram.run("sqlite3", [site.folder("search.db"), ".dump"]).text
    }

    @Test("backs up, changes, backs up less, proves, restores, rolls back, restores again and settles")
    func whole() async throws {
        let site = try await site(encryption: "  prove: contents")
        try await site.ok(["backup"])
        try FileManager.default.removeItem(atPath: site.folder("etc/certs/b.pem"))
        try site.folder.write("etc/new.conf", "new\n")
        try await sql(site, "UPDATE t SET b = 'zwei' WHERE a = 2;")
        try await site.ok(["backup", "--comment", "second night", "--tag", "second"])
        let ids = try await site.bundles()
        #expect(ids.count == 2)
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("incremental") && shown.contains("delta") && shown.contains("second night"))
        for level in ["presence", "checksum"] { try await site.ok(["validate-backup", "latest", "--level", level]) }
        // The backup host cannot decrypt what it wrote.
        let refused = try await site.host.run(["validate-backup", "latest", "--level", "contents"])
        #expect(refused.status == 9)
        try await site.ok(["validate-backup", "latest", "--level", "contents", "--all"], as: site.owner)

        let (tree, rows) = (try site.tree("etc"), try await dump(site))
        try FileManager.default.removeItem(atPath: site.folder("etc"))
        try site.folder.write("etc/wrong.conf", "wrong\n")
        try await sql(site, "DELETE FROM t;")
        let (wrongTree, wrongRows) = (try site.tree("etc"), try await dump(site))
        let plan = try await site.ok(["restore", "latest", "--dry-run"], as: site.owner)
        #expect(plan.contains("REPLACES") && plan.contains(site.folder("search.db")) && plan.contains("space"))
        #expect(try site.tree("etc") == wrongTree)

        let unconfirmed = try await site.owner.run(["restore", "latest"])
        #expect(unconfirmed.status == 4)
        #expect(try site.tree("etc") == wrongTree)

        try await site.ok(["restore", "latest", "--yes"], as: site.owner)
        #expect(try site.tree("etc") == tree)
        #expect(try await dump(site) == rows)
        #expect(try await site.bundles().count == 3, "a safety bundle was taken")
        // It holds what was wrong: whoever asks for the newest good one does not mean it.
        #expect(try await site.ok(["show", "latest-good"]).contains(ids[1]))
        let restore = try #require(try await site.openRestores().first)
        try await site.ok(["restore", "--rollback", restore, "--yes"], as: site.owner)
        #expect(try site.tree("etc") == wrongTree)
        #expect(try await dump(site) == wrongRows)
        try await site.ok(["restore", ids[1], "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try site.tree("etc") == tree)
        let second = try #require(try await site.openRestores().first)
        try await site.ok(["settle", second, "--yes"], as: site.owner)
        let left = try FileManager.default.contentsOfDirectory(atPath: site.folder.path)
        #expect(!left.contains { $0.contains("salvor-") || $0.contains("before-") }, "\(left)")
        #expect(try await site.owner.run(["restore", "--rollback", second, "--yes"]).status == 1)
    }

    @Test("the first night comes back from the incremental's base, and files alone without any engine")
    func toDirectory() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let tree = try site.tree("etc")
        try FileManager.default.removeItem(atPath: site.folder("etc/certs"))
        try await site.ok(["backup"])
        let ids = try await site.bundles()
        for (id, expected) in [(ids[0], tree), (ids[1], try site.tree("etc"))] {
            let target = site.folder("out-\(id)")
            try await site.ok(["restore", id, "--to-directory", target], as: site.owner)
            #expect(try site.tree("out-\(id)/config\(site.folder("etc"))") == expected)
            let rows = try await StockProgram.run("sqlite3", ["\(target)/search/search.db", ".dump"]).text
            #expect(rows == (try await dump(site)))
            let again = try await site.owner.run(["restore", id, "--to-directory", target])
            #expect(again.status == 6)
        }
    }

    @Test("find and diff say where things are and what changed")
    func findAndDiff() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        try site.folder.write("etc/app.conf", "changed\n")
        try FileManager.default.removeItem(atPath: site.folder("etc/certs/a.pem"))
        try await site.ok(["backup"])
        let ids = try await site.bundles()
        let found = try await site.ok(["find", "a.pem"], as: site.owner)
        #expect(found.contains(ids[0]) && !found.contains(ids[1]))
        #expect(try await site.owner.run(["find", "nothing-like-this"]).status == 5)
        let changes = try await site.ok(["diff", ids[0], ids[1]], as: site.owner)
        #expect(changes.contains("- config  file") && changes.contains("a.pem"))
        #expect(changes.contains("~ config  file") && changes.contains("app.conf"))
        #expect(!changes.contains("b.pem"))
    }

    @Test("a source that fails gives a partial bundle with status 3, and its absence is said at restore")
    func partial() async throws {
        let site = try await site()
        try FileManager.default.removeItem(atPath: site.folder("search.db"))
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3)
        #expect(outcome.output.contains("PARTIAL") && outcome.output.contains("search"))
        let restore = try await site.owner.run(["restore", "latest", "--source", "search", "--dry-run"])
        #expect(restore.status == 5)
        #expect(restore.errors.contains("search"))
        #expect(try await site.host.run(["status"]).status == 10)
    }

    @Test("status and doctor are content after a good night, and say what is wrong otherwise")
    func health() async throws {
        let site = try await site()
        let before = try await site.host.run(["status"])
        #expect(before.status == 10 && before.output.contains("no complete bundle yet"))
        try await site.ok(["backup"])
        #expect(try await site.host.run(["status"]).status == 0)
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.status == 0 && doctor.output.contains("cannot decrypt"), "\(doctor.output)")
        let warned = try await site.owner.run(["doctor"])
        #expect(warned.output.contains("holds the secret key"))
        try FileManager.default.removeItem(atPath: site.folder("etc"))
        #expect(try await site.host.run(["doctor"]).status == 10)
    }
}
