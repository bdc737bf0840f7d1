// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// Two hosts, each with its own plan, state and signing key, in one repository.
@Suite("Several hosts in one repository")
struct SeveralHostsTests {
    private struct Pair {
        let site: Site
        let other: SalvorProcess
        let otherKeys: ThrowawayKeys
        let first: String
        let second: String

        /// - Parameter isNamed: whether the second plan names its own signer, as plans of further hosts do.
        static func make() async throws -> Pair {
            let site = try await Site.make(
                sources: "- {name: config, adapter: files, paths: [$DIR/etc]}",
                encryption: "retention: {yearly: 1, minimum-good: 1}")
            try site.folder.write("etc/app.conf", "listen 80\n")
            let keys = try ThrowawayKeys()
            let second = try await keys.add("Shop <shop@example.com>", for: .signing)
            let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
                .replacingOccurrences(of: "plan: nightly", with: "plan: webshop")
                .replacingOccurrences(of: "encryption:\n", with: "encryption:\n  signer: \(second)\n")
            try site.folder.write("other.yaml", plan)
            var other = site.host
            other.environment["SALVOR_CONFIG"] = site.folder("other.yaml")
            other.environment["SALVOR_STATE_DIR"] = site.folder("other-state")
            other.environment["GNUPGHOME"] = keys.home
            try site.folder.write(
                "other.asc", try String(contentsOfFile: try await keys.publicKeyFile(second), encoding: .utf8))
            struct Envelope: Decodable { var result: [KnownSigner] }
            let signers = try JSONDecoder().decode(
                Envelope.self, from: Data(try await site.ok(["signers", "--json"]).utf8)
            ).result
            let first = try #require(signers.first)
            #expect(signers.count == 1)
            #expect(first.trust == .descriptor && first.problem == nil)
            return Pair(
                site: site, other: other, otherKeys: keys, first: first.fingerprint, second: second)
        }

        /// The bundles of both.
        func bundles() async throws -> [String] {
            struct Envelope: Decodable {
                struct Entry: Decodable { var id: String }
                var result: [Entry]
            }
            let text = try await site.ok(["list-backups", "--all", "--json"])
            return try JSONDecoder().decode(Envelope.self, from: Data(text.utf8)).result.map(\.id)
        }
    }

    @Test(
        "a second host's bundles are an integrity error until its signer is vouched for, and then as good as one's own")
    func vouching() async throws {
        let pair = try await Pair.make()
        let site = pair.site
        try await site.ok(["backup"])
        try await site.ok(["backup"], as: pair.other)
        let ids = try await pair.bundles()
        let foreign = try #require(ids.first { $0.contains("webshop") })

        #expect(try await site.ok(["list-backups", "--all", "--verify"]).contains("DAMAGED"))
        // Nobody knows the second key: neither this keyring nor the repository.
        let before = try await site.host.run(["validate-backup", foreign])
        #expect(before.status == 8, "\(before.errors)\(before.output)")
        #expect(
            (before.errors + before.output).contains("signed by a key that is unknown here, \(pair.second)"),
            "\(before.errors)\(before.output)")
        #expect(try await site.owner.run(["restore", foreign, "--to-directory", site.folder("no")]).status == 8)
        #expect(try await site.host.run(["signers", "add", pair.second]).status == 9, "the repository has no such key")

        let added = try await site.ok(["signers", "add", site.folder("other.asc"), "--comment", "the shop"])
        #expect(added.contains("\(pair.first) vouches for \(pair.second)"), "\(added)")
        #expect(try await site.host.run(["signers", "add", site.folder("other.asc")]).status == 6)
        let shown = try await site.ok(["signers"])
        #expect(shown.contains("vouches for it (the shop)"), "\(shown)")
        // Neither the backup host nor the owner has the second key in its keyring: the repository has.
        try await site.ok(["validate-backup", foreign, "--level", "checksum"])
        #expect(try await site.ok(["list-backups", "--all", "--verify"]).contains("DAMAGED") == false)
        try await site.ok(["restore", foreign, "--to-directory", site.folder("out")], as: site.owner)

        // The second host names its own key: the first one's count there once it vouches for it, by its fingerprint.
        let own = try #require(ids.first { $0.contains("nightly") })
        #expect(try await pair.other.run(["validate-backup", own]).status == 8)
        try await site.ok(["signers", "add", pair.first], as: pair.other)
        try await site.ok(["validate-backup", own], as: pair.other)
        try await site.ok(["validate-backup", foreign], as: pair.other)
    }

    @Test("what is forged, changed, or said by somebody who does not count, lets nobody in")
    func forgeries() async throws {
        let pair = try await Pair.make()
        let site = pair.site
        try await site.ok(["backup"], as: pair.other)
        let foreign = try #require(try await pair.bundles().first)
        // Whoever can write puts his key and vouches for himself, by himself and in another's name.
        let folder = "repo/keys/signers/\(pair.second)"
        let publicKey = try String(contentsOfFile: site.folder("other.asc"), encoding: .utf8)
        try site.folder.write("repo/keys/\(pair.second).gpg", publicKey)
        for voucher in [pair.second, pair.first] {
            let text = """
                {"at": "2026-11-21T00:00:00Z", "comment": "", "fingerprint": "\(pair.second)", "format": 1, "host": "x", \
                "repository": "x", "signer": "\(voucher)", "tool": "x"}
                """
            try site.folder.write("\(folder)/\(voucher).json", text)
            _ = try await pair.otherKeys.run([
                "--batch", "--yes", "--detach-sign", "--local-user", pair.second, "--output",
                site.folder("\(folder)/\(voucher).json.sig"), site.folder("\(folder)/\(voucher).json"),
            ])
        }
        let refused = try await site.host.run(["validate-backup", foreign])
        #expect(refused.status == 8, "\(refused.errors)\(refused.output)")
        let shown = try await site.ok(["signers"])
        #expect(shown.contains("NO") && !shown.contains("\(pair.first) vouches"), "\(shown)")

        // The true word for another repository, and one changed by a byte, are none either.
        try FileManager.default.removeItem(atPath: site.folder(folder))
        try await site.ok(["signers", "add", site.folder("other.asc")])
        try await site.ok(["validate-backup", foreign])
        let record = "\(folder)/\(pair.first).json"
        let text = try String(contentsOfFile: site.folder(record), encoding: .utf8)
        try FileManager.default.removeItem(atPath: site.folder(record))
        try site.folder.write(record, text.replacingOccurrences(of: "\"comment\" : \"\"", with: "\"comment\" : \"x\""))
        #expect(try await site.host.run(["validate-backup", foreign]).status == 8)
        try FileManager.default.removeItem(atPath: site.folder(record))
        try site.folder.write(record, text)
        try await site.ok(["validate-backup", foreign])
        // Another key under the name of the one that counts.
        try FileManager.default.removeItem(atPath: site.folder("repo/keys/\(pair.second).gpg"))
        try FileManager.default.copyItem(
            atPath: site.folder("repo/keys/\(pair.first).gpg"), toPath: site.folder("repo/keys/\(pair.second).gpg"))
        #expect(try await site.host.run(["validate-backup", foreign]).status == 8)
    }

    @Test("a host that only prunes goes by the runs of the host that backs up, as the repository has them")
    func pruning() async throws {
        let pair = try await Pair.make()
        let site = pair.site
        try await site.ok(["signers", "add", site.folder("other.asc")])
        // The same plan on a third machine that never ran it, with the first one's key.
        var pruner = site.host
        pruner.environment["SALVOR_STATE_DIR"] = site.folder("pruner")
        for _ in 0..<2 { try await site.ok(["backup", "--full"]) }
        try FileManager.default.moveItem(atPath: site.folder("etc"), toPath: site.folder("gone"))
        #expect(try await site.host.run(["backup"]).status != 0)
        let refused = try await pruner.run(["prune"])
        #expect(refused.status == 4, "\(refused.errors)\(refused.output)")
        #expect(refused.output.contains("the last run, on host '"), "\(refused.output)")
        try FileManager.default.moveItem(atPath: site.folder("gone"), toPath: site.folder("etc"))
        try await site.ok(["backup", "--full"])
        #expect(try await site.ok(["prune"], as: pruner).contains("would mark 2"))
        // A good run elsewhere also ends what this host remembers of its own failed one.
        try FileManager.default.moveItem(atPath: site.folder("etc"), toPath: site.folder("gone"))
        #expect(try await site.host.run(["backup"]).status != 0)
        try FileManager.default.moveItem(atPath: site.folder("gone"), toPath: site.folder("etc"))
        #expect(try await site.host.run(["prune"]).status == 4)
        try await site.ok(["backup", "--full"], as: pruner)
        try await site.ok(["prune"])
    }
}
