// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A source that fewer people may read than the rest of its plan.
@Suite("Recipients of a source's own")
struct OwnRecipientsTests {
    /// The plan's owner, who reads `config`, and the security officer, who reads `vault`, and nobody else does.
    fileprivate struct Offices {
        let site: Site
        let keys: ThrowawayKeys
        let officer: SalvorProcess
        let fingerprint: String

        static func make(encryption: String = "") async throws -> Offices {
            let folder = try TemporaryDirectory("site")
            let keys = try ThrowawayKeys()
            let fingerprint = try await keys.add("Officer <officer@example.com>", for: .encryption)
            try FileManager.default.copyItem(
                atPath: try await keys.publicKeyFile(fingerprint), toPath: folder("officer.asc"))
            let site = try await Site.make(
                sources: """
                    - {name: config, adapter: files, paths: [$DIR/etc]}
                    - name: vault
                      adapter: secrets
                      recipients: ["file:$DIR/officer.asc"]
                      environment-files: [$DIR/private/app.env]
                    """, encryption: encryption, keeping: folder)
            try folder.write("etc/app.conf", "listen 80\n")
            try folder.write("private/app.env", "TOKEN=hunter2\n")
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: folder("private/app.env"))
            // A recovery needs the signer's public key, which is no secret.
            let names = try FileManager.default.contentsOfDirectory(atPath: folder("repo/keys"))
            try await keys.gpg(["--import"] + names.map { folder("repo/keys/\($0)") })
            var environment = site.host.environment
            environment["GNUPGHOME"] = keys.home
            return Offices(
                site: site, keys: keys, officer: SalvorProcess(environment), fingerprint: fingerprint)
        }

        /// Both in one.
        func all() async throws -> SalvorProcess {
            let secret = try await keys.run(["--export-secret-keys"])
            let home = try #require(site.owner.environment["GNUPGHOME"])
            let outcome = try await StockProgram.run(
                "gpg", ["--batch", "--homedir", home, "--import"], input: secret.output)
            #expect(outcome.status == 0)
            return site.owner
        }

        func bundleFolder(_ id: String) throws -> String {
            let root = site.folder("repo/bundles")
            let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
            return "\(root)/\(try #require(names.first { $0.hasSuffix("/\(id)") }))"
        }
    }

    @Test("each reads theirs only: restores, contents, facts, searches; together everything comes back")
    func readers() async throws {
        let offices = try await Offices.make(encryption: "  prove: contents")
        let (site, officer) = (offices.site, offices.officer)
        try await site.ok(["backup"])
        let id = try #require(try await site.bundles().first)
        let shown = try await site.ok(["show", id])
        #expect(shown.contains("source vault: only \(offices.fingerprint)"), "\(shown)")

        let blind = try await site.owner.run(["restore", id, "--source", "vault", "--to-directory", site.folder("no")])
        #expect(blind.status == 9 && blind.errors.contains("no key here opens"), "\(blind.errors)")
        #expect(!FileManager.default.fileExists(atPath: site.folder("no/vault")))
        try await site.ok(
            ["restore", id, "--source", "config", "--to-directory", site.folder("owned")], as: site.owner)
        #expect(try String(contentsOfFile: try offices.file("owned", "app.conf"), encoding: .utf8) == "listen 80\n")
        let dry = try await site.owner.run(["restore", id, "--dry-run"])
        #expect(dry.status == 4 && dry.output.contains("BLOCKED: no key here opens it"), "\(dry.output)\(dry.errors)")

        try await site.ok(["restore", id, "--source", "vault", "--to-directory", site.folder("kept")], as: officer)
        let restored = try offices.file("kept", "app.env")
        #expect(try String(contentsOfFile: restored, encoding: .utf8) == "TOKEN=hunter2\n")
        let mode = try FileManager.default.attributesOfItem(atPath: restored)[.posixPermissions] as? Int
        #expect(mode == 0o640)
        #expect(
            try await officer.run(["restore", id, "--source", "config", "--to-directory", site.folder("no")]).status
                == 9)

        let facts = try await site.ok(["show", id, "--facts"], as: site.owner)
        #expect(facts.contains("config: ") && facts.contains("vault: no key here opens it"), "\(facts)")
        let found = try await site.owner.run(["find", "app"])
        #expect(found.status == 0 && found.output.contains("app.conf") && !found.output.contains("app.env"))
        #expect(found.errors.contains("source 'vault' was not searched"), "\(found.errors)")

        let folder = try offices.bundleFolder(id)
        for object in ["vault/contents.gpg", "vault/tree/000000.zst.gpg"] {
            for (process, opens) in [(site.owner, false), (officer, true)] {
                let home = try #require(process.environment["GNUPGHOME"])
                let gpg = try await StockProgram.run(
                    "gpg", ["--batch", "--homedir", home, "--decrypt", "\(folder)/\(object)"])
                #expect((gpg.status == 0) == opens, "\(object)")
            }
        }
        let script = try await StockProgram.run(
            "sh",
            [
                "-c",
                "mkdir '\(site.folder("stock"))' && cd '\(site.folder("stock"))' && sh ../repo/recover.sh '\(folder)' vault",
            ], environment: ["GNUPGHOME": offices.keys.home, "PATH": "/usr/bin:/bin"])
        #expect(script.status == 0, "\(script.errors)")
        #expect(try String(contentsOfFile: try offices.file("stock", "app.env"), encoding: .utf8) == "TOKEN=hunter2\n")

        let both = try await offices.all()
        try await site.ok(["validate-backup", id, "--level", "contents"], as: both)
        try site.folder.write("private/app.env", "TOKEN=\n")
        try FileManager.default.removeItem(atPath: site.folder("etc/app.conf"))
        try await site.ok(["restore", id, "--yes", "--no-safety-bundle"], as: both)
        #expect(try String(contentsOfFile: site.folder("private/app.env"), encoding: .utf8) == "TOKEN=hunter2\n")
        #expect(try String(contentsOfFile: site.folder("etc/app.conf"), encoding: .utf8) == "listen 80\n")
    }

    @Test("a validation says what it could not prove, and damage of what it cannot read is found")
    func validation() async throws {
        let offices = try await Offices.make()
        let site = offices.site
        try await site.ok(["backup"])
        let id = try #require(try await site.bundles().first)
        let checked = try await site.owner.run(["validate-backup", id, "--level", "checksum"])
        #expect(checked.status == 0, "\(checked.errors)")
        let unproven = try await site.owner.run(["validate-backup", id, "--level", "contents"])
        #expect(unproven.status == 9, "\(unproven.output)")
        #expect(
            unproven.errors.contains("contents of source 'vault' were not proven: only \(offices.fingerprint)"),
            "\(unproven.errors)")
        let folder = try offices.bundleFolder(id)
        for object in ["vault/contents.gpg", "vault/tree/000000.zst.gpg"] {
            let good = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(object)"))
            var bad = good
            bad[bad.count / 2] ^= 1
            try bad.write(to: URL(fileURLWithPath: "\(folder)/\(object)"))
            for level in ["checksum", "contents"] {
                let outcome = try await site.owner.run(["validate-backup", id, "--level", level])
                #expect(outcome.status == 8 && outcome.output.contains(object), "\(level): \(outcome.output)")
            }
            try good.write(to: URL(fileURLWithPath: "\(folder)/\(object)"))
        }
        // The base of what cannot be read counts, too.
        try site.folder.write("private/app.env", "TOKEN=hunter3\n")
        try await site.ok(["backup"])
        #expect(try await storage(site)["vault"] == "incremental")
        try FileManager.default.removeItem(atPath: "\(folder)/vault/tree/000000.zst.gpg")
        for level in ["checksum", "contents"] {
            let outcome = try await site.owner.run(["validate-backup", "latest", "--level", level])
            #expect(outcome.status == 8 && outcome.output.contains("\(id)/vault/tree"), "\(level): \(outcome.output)")
        }
    }

    @Test("whoever becomes a recipient gets a full, since the base is not theirs to read; whoever goes does not")
    func newRecipients() async throws {
        let offices = try await Offices.make()
        let site = offices.site
        try await site.ok(["backup"])
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let keys = try ThrowawayKeys()
        let second = try await keys.add("Second <second@example.com>", for: .encryption)
        try FileManager.default.copyItem(
            atPath: try await keys.publicKeyFile(second), toPath: site.folder("second.asc"))
        let officer = "\"file:\(site.folder("officer.asc"))\""
        try site.folder.write(
            "plan.yaml",
            plan.replacingOccurrences(of: officer, with: "\(officer), \"file:\(site.folder("second.asc"))\""))
        let told = try await site.host.run(["backup"])
        #expect(told.status == 0 && told.errors.contains("new recipients, who cannot read the base"), "\(told.errors)")
        #expect(try await storage(site) == ["config": "incremental", "vault": "full"])
        try site.folder.write("plan.yaml", plan)
        try await site.ok(["backup"])
        #expect(try await storage(site) == ["config": "incremental", "vault": "incremental"])
        let id = try #require(try await site.bundles().last)
        try await site.ok(
            ["restore", id, "--source", "vault", "--to-directory", site.folder("kept")], as: offices.officer)
        #expect(
            try String(contentsOfFile: try offices.file("kept", "app.env"), encoding: .utf8) == "TOKEN=hunter2\n")
    }

    @Test("a list without a key is a mistake of the plan; a key that cannot be used stops the backup")
    func mistakes() async throws {
        let offices = try await Offices.make()
        let site = offices.site
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let list = "[\"file:\(site.folder("officer.asc"))\"]"
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: list, with: "[]"))
        let empty = try await site.host.run(["config", "check"])
        #expect(empty.status == 2 && empty.errors.contains("must list at least one key"), "\(empty.errors)")
        let unknown = String(repeating: "AB", count: 20)
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: list, with: "[\(unknown)]"))
        let missing = try await site.host.run(["backup"])
        #expect(missing.status == 9 && missing.errors.contains(unknown), "\(missing.errors)")
        #expect(try await site.host.run(["doctor"]).status == 10)
        try site.folder.write("plan.yaml", plan)
        let printed = try await site.ok(["config", "show"])
        #expect(printed.contains("recipients:\n  - file:\(site.folder("officer.asc"))"), "\(printed)")
    }

    private func storage(_ site: Site) async throws -> [String: String] {
        struct Shown: Decodable {
            struct Result: Decodable { var manifest: Manifest }
            struct Manifest: Decodable { var sources: [Source] }
            struct Source: Decodable {
                struct Stream: Decodable { var storage: String }
                var name: String
                var streams: [Stream]
            }
            var result: Result
        }
        let text = try await site.ok(["show", "latest", "--json"])
        let sources = try JSONDecoder().decode(Shown.self, from: Data(text.utf8)).result.manifest.sources
        return Dictionary(uniqueKeysWithValues: sources.map { ($0.name, $0.streams.first?.storage ?? "") })
    }
}

extension OwnRecipientsTests.Offices {
    /// The path of the only file of that name below a folder of the site.
    fileprivate func file(_ folder: String, _ name: String) throws -> String {
        let root = site.folder(folder)
        let paths = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return "\(root)/\(try #require(paths.first { $0.hasSuffix("/\(name)") }))"
    }
}
