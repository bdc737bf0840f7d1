// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Errors by their stable codes, where the situation needs a whole command.
@Suite("Codes at the command line")
struct CodeTests {
    private struct Envelope: Decodable {
        struct Problem: Decodable { var code: String, message: String, hint: String? }
        var error: Problem?
    }

    private func site() async throws -> Site {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/quarterly-figures.conf", "the launch code is 4711\n")
        return site
    }

    private func expect(
        _ process: SalvorProcess, _ arguments: [String], _ status: Int32, _ code: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await process.run(arguments + ["--json"])
        let envelope = try? JSONDecoder().decode(Envelope.self, from: Data(outcome.output.utf8))
        #expect(
            outcome.status == status && envelope?.error?.code == code,
            "\(arguments): \(outcome.status) \(outcome.output)\(outcome.errors)", sourceLocation: sourceLocation)
    }

    @Test("a store without a repository, a store that is not there, a target that is taken, a damaged journal")
    func situations() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        try await expect(
            site.owner, ["restore", "latest", "--to-directory", site.folder("out")], 6, "restore.target-exists")
        try await site.ok(["restore", "latest", "--stage-only"], as: site.owner)
        let restore = try #require(try await site.openRestores().first)
        let journal = site.folder("state/restores/\(restore)/journal.json")
        let text = try Data(contentsOf: URL(fileURLWithPath: journal))
        try text.dropLast(20).write(to: URL(fileURLWithPath: journal))
        try await expect(site.owner, ["restore", "--rollback", restore, "--yes"], 1, "state.damaged")
        try text.write(to: URL(fileURLWithPath: journal))
        try await site.ok(["restore", "--rollback", restore, "--yes"], as: site.owner)

        let files = FileManager.default
        try files.moveItem(atPath: site.folder("repo"), toPath: site.folder("away"))
        for command in [
            ["backup"], ["list-backups"], ["validate-backup", "latest"], ["restore", "latest", "--dry-run"],
        ] {
            try await expect(site.host, command, 7, "storage.unreachable")
        }
        try files.createDirectory(atPath: site.folder("repo"), withIntermediateDirectories: false)
        for command in [["backup"], ["list-backups"], ["validate-backup", "latest"]] {
            try await expect(site.host, command, 5, "repository.not-found")
        }
        try await expect(site.host, ["restore", "latest", "--dry-run"], 5, "bundle.not-found")
    }

    @Test(
        "a repository or a bundle of a newer format is refused by every command that would read it, and not called damaged"
    )
    func newerFormat() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        let bundle = try #require(try await site.bundles().first)
        let reading = [
            ["show", bundle], ["validate-backup", bundle], ["restore", bundle, "--dry-run"],
            ["restore", bundle, "--yes"], ["restore", bundle, "--to-directory", site.folder("out")],
            ["find", "quarterly"], ["diff", bundle, bundle],
        ]
        let descriptor = site.folder("repo/salvor.json")
        let folder = try #require(
            FileManager.default.enumerator(atPath: site.folder("repo"))?.compactMap { $0 as? String }
                .first { $0.hasSuffix("/manifest.json") })
        for file in [descriptor, site.folder("repo/\(folder)")] {
            let text = try String(contentsOfFile: file, encoding: .utf8)
            let newer = text.replacing("\"format\" : 1", with: "\"format\" : 2")
            #expect(newer != text)
            try newer.write(toFile: file, atomically: true, encoding: .utf8)
            for arguments in reading {
                let outcome = try await site.owner.run(arguments)
                #expect(outcome.status == 8, "\(arguments): \(outcome.output)\(outcome.errors)")
                #expect((outcome.output + outcome.errors).contains("format 2"), "\(arguments): \(outcome.output)")
            }
            if file != descriptor {
                let listing = try await site.ok(["list-backups"])
                #expect(listing.contains("NEWER") && !listing.contains("DAMAGED"), "\(listing)")
            }
            try text.write(toFile: file, atomically: true, encoding: .utf8)
        }
        #expect(try site.tree("etc").keys.sorted() == ["quarterly-figures.conf"])
        #expect(!FileManager.default.fileExists(atPath: site.folder("out")))
    }

    @Test("a beginning of several bundles is not guessed, and nothing falls back to the latest")
    func ambiguous() async throws {
        let site = try await site()
        try await site.ok(["backup"])
        try await site.ok(["backup"])
        try await expect(site.host, ["show", "20"], 2, "usage")
        try await expect(site.owner, ["restore", "20", "--dry-run"], 2, "usage")
        try await expect(site.owner, ["restore", "nightly", "--dry-run"], 5, "bundle.not-found")
        try await expect(site.owner, ["restore", "latest:weekly", "--dry-run"], 5, "plan.not-found")
        try await expect(
            site.owner, ["restore", "latest", "--include", "nothing/like/this", "--yes"], 5, "selection.empty")
        try await expect(site.owner, ["restore", "latest", "--rename", "confg=/x", "--dry-run"], 5, "source.not-found")
    }

    @Test("whoever reads the store learns no file name, no content, no fact: all of it is encrypted to the recipient")
    func curiousStore() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                """, encryption: "  prove: contents")
        // Short: compression alone would leave these bytes as they are.
        try site.folder.write("etc/quarterly-figures.conf", "launch code 4711\n")
        for sql in [
            "CREATE TABLE customer_secrets(a); INSERT INTO customer_secrets VALUES('Bobby')",
            "DELETE FROM customer_secrets",
        ] {
            _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), sql])
            try await site.ok(["backup", "--comment", "seen by everybody"])
            try site.folder.write("etc/second.conf", "x\n")
        }
        let repository = site.folder("repo")
        for word in [
            "quarterly-figures", "launch code 4711", "customer_secrets", "Bobby", "SQLite format 3", site.folder.path,
        ] {
            let found = try await StockProgram.run("grep", ["-rlaF", word, repository])
            #expect(found.status == 1, "'\(word)' is in \(found.text)")
        }
        let clear = try await StockProgram.run("grep", ["-rlaF", "seen by everybody", repository])
        #expect(clear.status == 0, "the search finds what is there")
        // Every object but the public ones is an OpenPGP message, and after the run only the owner's key opens it.
        let objects = try #require(FileManager.default.enumerator(atPath: repository + "/bundles"))
            .compactMap { $0 as? String }.filter { $0.hasSuffix(".gpg") }
        #expect(objects.count >= 6)
        let keys = try FileManager.default.contentsOfDirectory(atPath: site.folder("recovery"))
        #expect(!keys.isEmpty)
        for object in objects {
            let path = "\(repository)/bundles/\(object)"
            let packets = try await StockProgram.run(
                "gpg", ["--homedir", try ThrowawayKeys().home, "--batch", "--list-packets", path])
            let listed = packets.text + packets.errors
            #expect(listed.components(separatedBy: "pubkey enc packet").count == 3, "owner and ephemeral: \(listed)")
            #expect(listed.contains("encrypted data packet"), "\(listed)")
        }
    }

    @Test("on a terminal there are bars that go away, elsewhere plain lines")
    func progress() async throws {
        let site = try await site()
        try noise(48 << 20).write(to: URL(fileURLWithPath: site.folder("etc/large")))
        var environment = ProcessInfo.processInfo.environment.merging(site.host.environment) { $1 }
        environment["TERM"] = "xterm"
        environment["COLUMNS"] = "80"
        let shown = try await StockProgram.run(
            "script", ["-qec", "\(SalvorProcess.path) backup", "/dev/null"], environment: environment)
        #expect(shown.status == 0, "\(shown.text)\(shown.errors)")
        #expect(shown.text.contains("\u{1b}["), "\(shown.text)")
        #expect(shown.text.contains("config"))
        let plain = try await site.host.run(["backup", "--full"])
        #expect(plain.status == 0)
        #expect(!(plain.output + plain.errors).contains("\u{1b}"))
        #expect(plain.errors.contains("config: "), "\(plain.errors)")
        #expect(try await site.host.run(["backup", "-q"]).errors.isEmpty)
    }
}
