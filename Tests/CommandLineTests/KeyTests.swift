// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Keys that are missing, spent or somebody else's, as an operator meets them.
@Suite("Keys at the command line")
struct KeyTests {
    private func site() async throws -> Site {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/app.conf", "listen 80\n")
        return site
    }

    private func expectRefused(
        _ site: Site, _ process: SalvorProcess, _ arguments: [String] = ["backup"], code: String, _ words: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await process.run(arguments + ["--json"])
        #expect(outcome.status == 9, "\(outcome.output)\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(
            outcome.output.contains("\"\(code)\"") && (words.isEmpty || outcome.output.contains(words)),
            "\(outcome.output)",
            sourceLocation: sourceLocation)
        #expect(outcome.output.contains("\"hint\""), "\(outcome.output)", sourceLocation: sourceLocation)
    }

    private func setRecipient(_ site: Site, _ file: String) throws {
        try FileManager.default.removeItem(atPath: site.folder("recipient.asc"))
        try FileManager.default.copyItem(atPath: file, toPath: site.folder("recipient.asc"))
    }

    @Test("a revoked, a sign-only and an unknown recipient, and a file without a key, each stop the backup")
    func recipients() async throws {
        let site = try await site()
        let keys = try ThrowawayKeys()
        let revoked = try await keys.add("Gone <gone@example.com>", for: .encryption)
        try await keys.revoke(revoked)
        try setRecipient(site, try await keys.publicKeyFile(revoked))
        try await expectRefused(site, site.host, code: "key.revoked", "revoked")
        let signOnly = try await keys.add("Sign <sign@example.com>", for: .signing)
        try setRecipient(site, try await keys.publicKeyFile(signOnly))
        try await expectRefused(site, site.host, code: "key.unusable", signOnly)
        try site.folder.write("recipient.asc", "no key at all\n")
        #expect(try await site.host.run(["backup"]).status == 9)
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let unknown = String(repeating: "AB", count: 20)
        try site.folder.write(
            "plan.yaml", plan.replacingOccurrences(of: "file:\(site.folder("recipient.asc"))", with: unknown))
        try await expectRefused(site, site.host, code: "key.missing", unknown)
        try site.folder.write("plan.yaml", plan)
        #expect(try await site.bundles().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: site.folder("repo/bundles")))
        #expect(try await site.host.run(["doctor"]).status == 10)
    }

    @Test("without a signing key, with an expired one or one nobody can unlock, nothing is committed")
    func signers() async throws {
        let site = try await site()
        let keys = try ThrowawayKeys()
        var host = site.host
        host.environment["GNUPGHOME"] = keys.home
        try await expectRefused(site, host, code: "key.missing", "sign")
        _ = try await keys.add("Old <old@example.com>", for: .signing, expires: "1d", madeAt: "20200101T000000")
        try await expectRefused(site, host, code: "key.expired", "expired")

        let locked = try ThrowawayKeys()
        try await locked.gpg([
            "--pinentry-mode", "loopback", "--passphrase", "nobody knows", "--quick-generate-key",
            "Locked <locked@example.com>", "ed25519", "sign", "never",
        ])
        _ = try await StockProgram.run("gpgconf", ["--homedir", locked.home, "--kill", "gpg-agent"])
        // A pinentry that always gives up.
        let quitter = "\(locked.home)/pinentry"
        try Data("#!/bin/sh\nexit 1\n".utf8).write(to: URL(fileURLWithPath: quitter))
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: quitter)
        try Data("pinentry-program \(quitter)\n".utf8).write(to: URL(fileURLWithPath: "\(locked.home)/gpg-agent.conf"))
        host.environment["GNUPGHOME"] = locked.home
        try await expectRefused(site, host, code: "key.signing-failed")
        #expect(try await site.bundles().isEmpty)
        #expect(try site.tree("repo/bundles").values.allSatisfy(\.isEmpty), "what was stored is removed again")
    }

    @Test("a restore with the wrong key, or without the signer's, stops before anything is made")
    func wrongKey() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        try site.folder.write("etc/app.conf", "live\n")
        let live = try site.tree("etc")
        let other = try ThrowawayKeys()
        _ = try await other.add("Somebody <else@example.com>", for: .encryption)
        var stranger = site.host
        stranger.environment["GNUPGHOME"] = other.home
        try await expectRefused(site, stranger, ["restore", "latest", "--dry-run"], code: "key.missing", "signer")
        let signers = try FileManager.default.contentsOfDirectory(atPath: site.folder("repo/keys"))
        for name in signers { try await other.gpg(["--import", site.folder("repo/keys/\(name)")]) }
        for arguments in [
            ["restore", "latest", "--dry-run"], ["restore", "latest", "--yes", "--no-safety-bundle"],
            ["restore", "latest", "--to-directory", site.folder("out")], ["find", "app.conf"],
            ["validate-backup", "latest", "--level", "contents"],
        ] {
            try await expectRefused(site, stranger, arguments, code: "key.no-decryption-key", "GNUPGHOME")
        }
        #expect(try site.tree("etc") == live)
        #expect(!FileManager.default.fileExists(atPath: site.folder("out")))
        #expect(try await site.openRestores().isEmpty)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: site.folder.path).allSatisfy { !$0.contains("salvor-") }
        )
        // What needs no key goes on working.
        let proven = try await stranger.run(["validate-backup", "latest", "--level", "checksum"])
        #expect(proven.status == 0, "\(proven.errors)")
    }
}
