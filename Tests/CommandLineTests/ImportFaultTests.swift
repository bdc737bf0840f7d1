// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Imports that must be refused")
struct ImportFaultTests {
    /// An import that must fail with `status`, say `words`, and leave the repository as it was.
    private func refuse(
        _ site: ExportSite, _ file: String, _ status: Int32, _ words: String..., options: [String] = [],
        as process: SalvorProcess? = nil, location: SourceLocation = #_sourceLocation
    ) async throws {
        let before = try site.site.tree("repo").keys.filter { $0.contains(".") }.sorted()
        let outcome = try await (process ?? site.owner).run(["import", site(file)] + options)
        #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: location)
        for word in words {
            #expect(outcome.errors.contains(word), "\(outcome.errors)", sourceLocation: location)
        }
        #expect(outcome.errors.split(separator: "\n").count > 1, "no hint: \(outcome.errors)", sourceLocation: location)
        let after = try site.site.tree("repo").keys.filter { $0.contains(".") }.sorted()
        #expect(before == after, "something is left in the repository", sourceLocation: location)
    }

    /// A small site with one export, `good.gpg`, unpacked below `hand/`.
    private func exported() async throws -> (site: ExportSite, id: String) {
        let site = try await ExportSite.make()
        try await site.shell("rm etc/large etc/sparse")
        try await site.sql("DELETE FROM t WHERE a > 20;")
        try await site.sql("VACUUM;")
        try await site.backUp()
        try await site.site.ok(["export", "latest", "--to", site("good.gpg")], as: site.owner)
        try await site.shell("mkdir hand && gpg -q --decrypt good.gpg | zstd -d | tar -x -C hand")
        let id = try #require(try await site.site.bundles().first)
        return (site, id)
    }

    @Test("cut anywhere, changed anywhere, or something else: nothing is committed")
    func damage() async throws {
        let (site, _) = try await exported()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: site("good.gpg")))
        for part in [0, 1, 10, 50, 300, bytes.count / 3, bytes.count / 2, bytes.count - 20, bytes.count - 1] {
            try Data(bytes[..<part]).write(to: URL(fileURLWithPath: site("cut.gpg")))
            try await refuse(site, "cut.gpg", 8)
        }
        for place in [bytes.count / 4, bytes.count / 2, bytes.count - 5] {
            var changed = bytes
            changed[place] ^= 0x10
            try changed.write(to: URL(fileURLWithPath: site("changed.gpg")))
            try await refuse(site, "changed.gpg", 8)
        }
        try (bytes + bytes).write(to: URL(fileURLWithPath: site("twice.gpg")))
        try await refuse(site, "twice.gpg", 8)
        try await refuse(site, "plan.yaml", 8, "no encrypted message")
        let missing = try await site.owner.run(["import", site("missing.gpg")])
        #expect(missing.status == 1 && missing.errors.contains("missing.gpg"))
        try await site.site.ok(["import", site("good.gpg")], as: site.owner)
    }

    @Test("signed by nobody, by somebody unknown, by somebody not trusted, or unreadable here")
    func authenticity() async throws {
        let (site, _) = try await exported()
        try await refuse(site, "good.gpg", 9, "no secret key", as: site.site.host)
        let pack = "gpg -q --decrypt good.gpg | gpg -q --batch --no-tty --trust-model always --compress-algo none"
        let recipient = "--recipient-file recipient.asc"
        try await site.shell("\(pack) \(recipient) --encrypt > unsigned.gpg")
        try await refuse(site, "unsigned.gpg", 8, "signature")
        // Signed, but not encrypted: no export.
        let signer = try await site.signer()
        try await site.shell("\(pack) --local-user \(signer) --sign > open.gpg")
        try await refuse(site, "open.gpg", 8)

        let other = try ThrowawayKeys()
        let stranger = try await other.add("Stranger <s@example.com>", for: .signing)
        try await site.shell(
            "gpg -q --decrypt good.gpg | gpg -q --homedir \(other.home) --batch --no-tty --trust-model always"
                + " --compress-algo none \(recipient) --local-user \(stranger) --sign --encrypt > stranger.gpg")
        try await refuse(site, "stranger.gpg", 9, stranger)
        try await other.gpg(["--output", site("stranger.pub"), "--export", stranger])
        try await site.shell("gpg -q --import stranger.pub")
        // The words inside are the good signer's, the signature is not.
        try await refuse(site, "stranger.gpg", 8, stranger)
        try await refuse(site, "stranger.gpg", 8, options: ["--signer", stranger])
        try await refuse(site, "good.gpg", 8, signer, "--signer", options: ["--signer", stranger])
        try await site.site.ok(["import", site("good.gpg"), "--signer", signer], as: site.owner)
    }

    @Test("members that lie, are missing, too many, elsewhere, no files, or of a newer layout")
    func hostileMembers() async throws {
        let (site, id) = try await exported()
        let list = try await site.shell("gpg -q --decrypt good.gpg | zstd -d | tar -t").split(separator: "\n")
            .joined(separator: " ")
        let sums = "cd \(id) && sha256sum $(sed 's/^[0-9a-f]*  //' SHA256SUMS) > sums && mv sums SHA256SUMS"
        /// Packs `hand/` again after a change, as somebody with a trusted key could.
        func pack(_ name: String, _ change: String, members: String = list, options: String = "") async throws {
            let signer = try await site.signer()
            try await site.shell(
                """
                rm -rf work; cp -a hand work; (cd work; \(change))
                cd work; tar -c -P --format=pax \(options) \(members) | zstd -q | gpg -q --batch --no-tty \
                --trust-model always --recipient-file ../recipient.asc --local-user \(signer) --sign --encrypt > ../\(name).gpg
                """)
        }
        // The packing itself is not what is refused.
        try await pack("same", "true")
        try await site.site.ok(["import", site("same.gpg")], as: site.owner)

        try await pack("newer", "sed -i 's/\"layout\" : 1/\"layout\" : 2/' \(id)/salvor-export.json")
        try await refuse(site, "newer.gpg", 8, "layout 2", "newer salvor")
        try await pack("content", "printf x | dd of=\(id)/sources/search/search.db bs=1 seek=5000 conv=notrunc")
        try await refuse(site, "content.gpg", 8, "search.db")
        try await pack("longer", "echo more >> \(id)/sources/search/search.db; \(sums)")
        try await refuse(site, "longer.gpg", 8, "search.db", "bytes instead of")
        try await pack("tree", "printf x | dd of=\(id)/sources/config/tree.tar bs=1 seek=700 conv=notrunc; \(sums)")
        try await refuse(site, "tree.gpg", 8, "tree.tar")
        try await pack("manifest", "sed -i 's/nightly/nightlx/' \(id)/original/manifest.json; \(sums)")
        try await refuse(site, "manifest.gpg", 8, "manifest")
        try await pack("readme", "echo more >> \(id)/README.txt")
        try await refuse(site, "readme.gpg", 8, "SHA256SUMS")
        try await pack("short", "true", members: list.replacingOccurrences(of: " \(id)/SHA256SUMS", with: ""))
        try await refuse(site, "short.gpg", 8, "SHA256SUMS")
        try await pack("double", "true", members: "\(list) \(id)/SHA256SUMS")
        try await refuse(site, "double.gpg", 8)
        try await pack(
            "extra", "echo x > \(id)/extra",
            members: list.replacingOccurrences(of: "\(id)/sources/search", with: "\(id)/extra \(id)/sources/search"))
        try await refuse(site, "extra.gpg", 8, "extra")
        try await pack(
            "climb", "true", options: "--transform='s,sources/search/search.db,sources/search/../../../x,'")
        try await refuse(site, "climb.gpg", 8, "search.db")
        try await pack(
            "path",
            "sed -i 's,\"fileName\" : \"search.db\",\"fileName\" : \"../../search.db\",' \(id)/salvor-export.json")
        try await refuse(site, "path.gpg", 8, "search")
        try await pack("absolute", "true", options: "--transform='s,^,/,'")
        try await refuse(site, "absolute.gpg", 8, "README.txt")
        try await pack("link", "ln -sf /etc/passwd \(id)/sources/search/search.db")
        try await refuse(site, "link.gpg", 8)
        try await pack(
            "renamed", "mv \(id) 20200101T000000Z-nightly-aaaaaa",
            members: list.replacingOccurrences(of: id, with: "20200101T000000Z-nightly-aaaaaa"))
        try await refuse(site, "renamed.gpg", 8, "folder")
        // An archive of anything.
        try await pack("other", "true", members: "\(id)/sources/search/search.db")
        try await refuse(site, "other.gpg", 8, "no export")
        #expect(try await site.site.bundles().count == 2)
    }
}
