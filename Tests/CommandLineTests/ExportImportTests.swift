// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Export and import, by command")
struct ExportImportTests {
    @Test("stock gpg, zstd, tar and sha256sum open an export; full, delta and incremental are whole in it")
    func byHand() async throws {
        let site = try await ExportSite.make()
        let (tree, rows) = (try site.tree(), try await site.rows())
        try await site.backUp()
        try await site.change()
        try await site.backUp()
        let ids = try await site.site.bundles()
        let shown = try await site.site.ok(["show", ids[1]])
        #expect(shown.contains("incremental") && shown.contains("delta"))
        for (id, expected) in [(ids[0], (tree, rows)), (ids[1], (try site.tree(), try await site.rows()))] {
            let file = site("\(id).tar.zst.gpg")
            let said = try await site.site.ok(["export", id, "--to", file], as: site.owner)
            #expect(said.contains("exported bundle \(id)") && said.contains("signed by"))
            try await site.shell("mkdir hand-\(id) && gpg -q --decrypt \(file) | zstd -d | tar -x -C hand-\(id)")
            let folder = site("hand-\(id)/\(id)")
            try await site.shell("cd \(folder) && sha256sum --check --quiet --strict SHA256SUMS")
            try await site.shell("cd \(folder) && gpg --verify original/manifest.json.sig original/manifest.json")
            try await site.shell("cmp \(folder)/original/manifest.json repo/bundles/nightly/*/*/*/\(id)/manifest.json")
            try await site.shell(
                "cd \(folder) && mkdir tree && tar -x -p --xattrs --xattrs-include='*' --acls"
                    + " -f sources/config/tree.tar -C tree && mv tree\(site("etc")) ../../out-\(id)")
            #expect(try site.site.tree("out-\(id)") == expected.0)
            #expect(try await site.rows("\(folder)/sources/search/search.db") == expected.1)
            let members = try await site.shell("gpg -q --decrypt \(file) | zstd -d | tar -t")
                .split(separator: "\n").map { $0.dropFirst(id.count + 1) }
            #expect(
                members == [
                    "README.txt", "salvor-export.json", "original/manifest.json", "original/manifest.json.sig",
                    "lists/config/tree.tsv", "sources/config/tree.tar", "sources/search/search.db", "SHA256SUMS",
                ])
            let readme = try String(contentsOfFile: "\(folder)/README.txt", encoding: .utf8)
            for word in [id, "gpg --decrypt", "zstd -d", "tar -x", "integrity_check", "salvor import"] {
                #expect(readme.contains(word))
            }
        }
        // Links stay links, holes stay holes, attributes stay; also when one came from the base and one from tonight.
        let out = site("out-\(ids[1])")
        try await site.shell("[ \(out)/a -ef \(out)/b ] && [ \(out)/a -ef \(out)/c ]")
        try await site.shell("[ $(du -k \(out)/sparse | cut -f1) -lt 1000 ]")
        #expect(try await site.shell("stat -c %a \(out)/app.conf") == "640\n")
        // Nothing readable is in the file, nothing is left in the temporary folder.
        try await site.shell("! grep -q -a 'certs' \(ids[0]).tar.zst.gpg")
        #expect(try FileManager.default.contentsOfDirectory(atPath: site("tmp")) == [])
    }

    @Test("an import into another repository can be shown, found, compared, proven and restored like any bundle")
    func otherRepository() async throws {
        let site = try await ExportSite.make()
        try await site.backUp()
        try await site.change()
        try await site.backUp()
        let ids = try await site.site.bundles()
        let (tree, rows) = (try site.tree(), try await site.rows())
        let other = try await site.otherRepository()
        for id in ids {
            try await site.site.ok(["export", id, "--to", site("\(id).gpg")], as: site.owner)
            try await site.site.ok(["import", site("\(id).gpg"), "--tag", "moved"], as: other)
        }
        let imported = try await site.bundles(of: other)
        #expect(imported.count == 2)
        #expect(zip(imported, ids).allSatisfy { $0.0 != $0.1 && $0.0.prefix(16) == $0.1.prefix(16) })
        let shown = try await site.site.ok(["show", "latest", "--facts"], as: other)
        for word in ["imported    from \(ids[1])", "moved", "full", "table t rows"] {
            #expect(shown.contains(word), "\(shown)")
        }
        #expect(!shown.contains("incremental") && !shown.contains("delta"))
        try await site.site.ok(["validate-backup", "latest", "--all", "--level", "contents"], as: other)
        #expect(try await site.site.ok(["find", "new.conf"], as: other).contains(imported[1]))
        let changes = try await site.site.ok(["diff", imported[0], imported[1]], as: other)
        #expect(changes.contains("new.conf") && changes.contains("b.pem"))

        try FileManager.default.removeItem(atPath: site("etc"))
        try await site.sql("DELETE FROM t;")
        try await site.site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: other)
        #expect(try site.tree() == tree)
        #expect(try await site.rows() == rows)
        // The recovery script knows nothing of imports, and need not.
        let folder = try await site.shell("ls -d other/bundles/nightly/*/*/*/\(imported[0])").dropLast()
        try await site.shell("mkdir script && cd script && sh ../other/recover.sh ../\(folder)")
        try await site.shell("test -f script/config\(site("etc"))/certs/b.pem")
    }

    @Test("an import beside the original is no base, leaves the chain whole, and tonight's backup goes on as before")
    func sameRepository() async throws {
        let site = try await ExportSite.make()
        try await site.backUp()
        try await site.change()
        try await site.backUp()
        let ids = try await site.site.bundles()
        try await site.site.ok(["export", ids[0], "--to", site("first.gpg")], as: site.owner)
        // A lock's file holds the process that had it last.
        func state() throws -> [String: Data] {
            try site.site.tree("state").filter { !$0.key.hasPrefix("locks/") }
        }
        let before = try state()
        try await site.site.ok(["import", site("first.gpg"), "--comment", "again"], as: site.owner)
        #expect(try state() == before)
        let all = try await site.site.bundles()
        #expect(all.count == 3 && all.last == ids[1], "latest stays the newest data")
        try await site.sql("INSERT INTO t(b) VALUES ('third');")
        let said = try await site.site.ok(["backup"])
        #expect(said.contains("incremental") && said.contains("delta"))
        let shown = try await site.site.ok(["show", "latest", "--json"])
        #expect(shown.contains("\"base\" : \"\(ids[0])\"") && shown.contains("\"id\" : \"\(ids[1])\""))
        try await site.site.ok(["validate-backup", "latest", "--all", "--level", "contents"], as: site.owner)
    }

    @Test("one source, another recipient, standard output and back from standard input")
    func selection() async throws {
        let site = try await ExportSite.make()
        try await site.backUp()
        let (friend, friends) = (try ThrowawayKeys(), site("friend.asc"))
        let fingerprint = try await friend.add("Friend <friend@example.com>", for: .encryption)
        try await friend.gpg(["--armor", "--output", friends, "--export", fingerprint])
        try await site.shell("salvor export latest --source search --recipient file:\(friends) --to - > search.gpg")
        // The plan's recipient cannot open it, the friend can.
        let closed = try await site.owner.run(["import", site("search.gpg")])
        #expect(closed.status == 9 && closed.errors.contains("no secret key"), "\(closed.errors)")
        try await site.shell("gpg --export | gpg -q --homedir \(friend.home) --import")
        let list = try await site.shell(
            "gpg --homedir \(friend.home) -q --decrypt search.gpg | zstd -d | tar -t")
        #expect(list.contains("sources/search/search.db") && !list.contains("config"))

        try await site.shell("salvor export latest --source search --to - | salvor import - --json > result.json")
        let result = try String(contentsOfFile: site("result.json"), encoding: .utf8)
        #expect(result.contains("\"imported\"") && !result.contains("config"))
        let restored = try await site.owner.run(["restore", "latest", "--source", "nothing", "--dry-run"])
        #expect(restored.status == 5)
        let nothing = try await site.owner.run(["export", "latest", "--source", "serach", "--to", site("x")])
        #expect(nothing.status == 5 && nothing.errors.contains("search"))
    }

    @Test("what is there is not replaced without --force, and a failed export leaves no file")
    func files() async throws {
        let site = try await ExportSite.make()
        try await site.backUp()
        try site.site.folder.write("taken.gpg", "mine")
        let taken = try await site.owner.run(["export", "latest", "--to", site("taken.gpg")])
        #expect(taken.status == 6 && taken.errors.contains("--force"))
        #expect(try String(contentsOfFile: site("taken.gpg"), encoding: .utf8) == "mine")
        try await site.site.ok(["export", "latest", "--to", site("taken.gpg"), "--force", "--json"], as: site.owner)
        try await site.site.ok(["import", site("taken.gpg")], as: site.owner)
        #expect(try await site.owner.run(["export", "latest", "--to", site("no/such/folder")]).status == 1)
        // The host cannot decrypt; nobody can sign with a key that is not there.
        #expect(try await site.site.host.run(["export", "latest", "--to", site("x.gpg")]).status == 9)
        let unknown = String(repeating: "0", count: 40)
        for option in ["--signer", "--recipient"] {
            let refused = try await site.owner.run(["export", "latest", option, unknown, "--to", site("x.gpg")])
            #expect(refused.status == 9 && refused.errors.contains(unknown), "\(refused.errors)")
        }
        let id = try #require(try await site.site.bundles().first)
        try await site.shell(
            "for f in repo/bundles/nightly/*/*/*/\(id)/search/database/*; do printf x | dd of=$f bs=1 seek=900 conv=notrunc; done"
        )
        let damaged = try await site.owner.run(["export", id, "--to", site("x.gpg")])
        #expect(damaged.status == 8, "\(damaged.errors)")
        let left = try FileManager.default.contentsOfDirectory(atPath: site.site.folder.path)
        #expect(!left.contains { $0.contains("x.gpg") || $0.contains(".part") }, "\(left)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: site("tmp")) == [])
    }
}
