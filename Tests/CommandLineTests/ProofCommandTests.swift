// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Levels of proof, by command")
struct ProofCommandTests {
    private func site(encryption: String = "") async throws -> Site {
        let site = try await Site.make(
            sources: "- {name: config, adapter: files, paths: [$DIR/etc]}", encryption: encryption)
        try site.folder.write("etc/app.conf", "x\n")
        return site
    }

    private func records(_ site: Site) throws -> [String] {
        try site.tree("repo").keys.filter { $0.contains("/proofs/") && $0.hasSuffix(".json") }.sorted()
    }

    @Test("what was proven is shown with its age by list-backups, show and status, for people and as JSON")
    func shown() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        #expect(try await site.ok(["show", "latest"]).contains("proven      nothing recorded"))
        try await site.ok(["validate-backup", "latest", "--no-record"])
        #expect(try records(site).isEmpty)
        let validated = try await site.ok(["validate-backup", "latest"])
        #expect(!validated.contains("not recorded"))
        #expect(try records(site).count == 1)
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        #expect(try await site.ok(["show", "latest"]).contains("proven      contents, "))
        let listed = try await site.ok(["list-backups"])
        #expect(listed.contains("CLAIMED") && listed.contains("contents "), "\(listed)")
        #expect(listed.split(separator: "\n").allSatisfy { $0.count <= 80 })
        let verified = try await site.ok(["list-backups", "--verify"])
        #expect(verified.contains("PROVEN") && verified.contains("contents "))
        #expect(try await site.ok(["status"]).contains("contents "))

        struct Envelope<Entry: Decodable>: Decodable { var result: [Entry] }
        struct Entry: Decodable {
            struct Proof: Decodable {
                struct Claim: Decodable { var level: String, at: String, proven: Bool }
                var proven: Claim?
                var verified: Bool
            }
            var proof: Proof
        }
        for (command, isVerified) in [
            (["list-backups"], false), (["list-backups", "--verify"], true), (["status"], true),
        ] {
            let text = try await site.ok(command + ["--json"])
            let entry = try #require(try JSONDecoder().decode(Envelope<Entry>.self, from: Data(text.utf8)).result.first)
            #expect(entry.proof.proven?.level == "contents" && entry.proof.verified == isVerified)
        }
    }

    @Test("a proof at birth is there the moment the backup is done")
    func atBirth() async throws {
        let site = try await site(encryption: "  prove: contents")
        try await site.ok(["backup"])
        #expect(try await site.ok(["list-backups", "--verify"]).contains("contents "))
        #expect(try await site.host.run(["status"]).status == 0)
    }

    @Test("recorded problems make status say so, until the bundle is proven again")
    func problems() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let segment = try #require(try site.tree("repo").keys.first { $0.hasSuffix("000000.zst.gpg") })
        let file = URL(fileURLWithPath: site.folder("repo/\(segment)"))
        let original = try Data(contentsOf: file)
        try (original.dropLast() + [original.last.map { $0 ^ 1 } ?? 0]).write(to: file)
        #expect(try await site.host.run(["validate-backup", "latest"]).status == 8)
        let status = try await site.host.run(["status"])
        #expect(status.status == 10 && status.output.contains("PROBLEMS"))
        #expect(try await site.ok(["list-backups"]).contains("PROBLEMS"))
        #expect(try await site.ok(["show", "latest"]).contains("PROBLEMS at level checksum"))
        try original.write(to: file)
        try await site.ok(["validate-backup", "latest"])
        #expect(try await site.host.run(["status"]).status == 0)
    }

    @Test("a forged record is named by validate-backup and doctor, and changes no exit status")
    func forged() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let id = try #require(try await site.bundles().first)
        let manifest = try #require(try site.tree("repo").keys.first { $0.hasSuffix("manifest.json") })
        let folder = "repo/\(manifest.dropLast("manifest.json".count))proofs"
        let name = "\(id.prefix(16))-contents-proven-forged"
        try site.folder.write("\(folder)/\(name).json", "{\"format\": 1}")
        try site.folder.write("\(folder)/\(name).json.sig", "no signature")
        let validated = try await site.ok(["validate-backup", "latest", "--level", "presence"])
        #expect(validated.contains("does not count") && validated.contains(name))
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.status == 0 && doctor.output.contains(name), "\(doctor.output)")
        #expect(try await !site.ok(["list-backups", "--verify"]).contains("contents "))
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("no proof") && shown.contains("proven      presence"))
    }

    @Test("without a signing key the validation gives its own status and says why nothing was recorded")
    func noSigningKey() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let keys = try ThrowawayKeys()
        for name in try site.tree("repo").keys where name.hasPrefix("keys/") && name.hasSuffix(".gpg") {
            try await keys.gpg(["--import", site.folder("repo/\(name)")])
        }
        var verifier = site.host
        verifier.environment["GNUPGHOME"] = keys.home
        let outcome = try await verifier.run(["validate-backup", "latest"])
        #expect(outcome.status == 0 && outcome.output.contains("not recorded: "), "\(outcome.output)\(outcome.errors)")
        #expect(try records(site).isEmpty)
    }
}
