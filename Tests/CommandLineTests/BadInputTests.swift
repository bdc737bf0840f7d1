// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Bad input at the command line")
struct BadInputTests {
    private func site() async throws -> Site {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/app.conf", "x\n")
        return site
    }

    private func expect(_ outcome: SalvorProcess.Outcome, _ status: Int32, _ texts: String...) {
        #expect(outcome.status == status, "\(outcome.errors)\(outcome.output)")
        for text in texts { #expect(outcome.errors.contains(text), "'\(text)' is not in: \(outcome.errors)") }
    }

    @Test("a mistyped key is named with its place and the nearest one")
    func mistypedKey() async throws {
        let site = try await site()
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: "objectives", with: "objectivse"))
        expect(try await site.host.run(["config", "check"]), 2, "plan.yaml:", "objectivse", "objectives")
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: "paths", with: "path"))
        expect(try await site.host.run(["backup"]), 2, "plan.yaml:", "paths")
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: "adapter: files", with: "adapter: flies"))
        expect(try await site.host.run(["backup"]), 2, "flies", "files")
    }

    @Test("bundles, sources, plans and restores that are not there are status 5 with a hint")
    func notFound() async throws {
        let site = try await site()
        expect(try await site.host.run(["show", "latest"]), 5, "no bundle")
        try await site.ok(["backup"])
        let id = try #require(try await site.bundles().first)
        expect(try await site.host.run(["show", "20200101T000000Z-nightly-aaaaaa"]), 5, "no bundle")
        expect(try await site.host.run(["backup", "--source", "confg"]), 5, "confg", "config")
        expect(try await site.owner.run(["restore", id, "--source", "nope", "--dry-run"]), 5, "nope")
        expect(
            try await site.owner.run(["restore", id, "--include", "no/such/path", "--to-directory", site.folder("o")]),
            5)
        expect(try await site.host.run(["restore", "--promote", "zzzzzz", "--yes"]), 5, "zzzzzz")
        expect(try await site.owner.run(["restore", id, "--data-only", "--dry-run"]), 5)
        // An unambiguous beginning is enough.
        #expect(try await site.ok(["show", String(id.dropLast(3))]).contains(id))
    }

    @Test("no repository, a second init, two runs at once and an unwritable state folder are told apart")
    func repositoryAndState() async throws {
        let site = try await site()
        expect(try await site.host.run(["init"]), 6, "already")
        try FileManager.default.moveItem(atPath: site.folder("repo"), toPath: site.folder("unmounted"))
        let missing = try await site.host.run(["backup"])
        #expect([5, 7].contains(missing.status), "\(missing.errors)")
        try FileManager.default.moveItem(atPath: site.folder("unmounted"), toPath: site.folder("repo"))
        var broken = site.host
        try site.folder.write("not-a-folder", "x")
        broken.environment["SALVOR_STATE_DIR"] = site.folder("not-a-folder")
        expect(try await broken.run(["backup"]), 1, "state folder")
        // A lock that another process holds.
        let lock = open(site.folder("state/locks/nightly.lock"), O_RDWR | O_CREAT, 0o600)
        if lock < 0 {
            try FileManager.default.createDirectory(
                atPath: site.folder("state/locks"), withIntermediateDirectories: true)
        }
        let held = lock >= 0 ? lock : open(site.folder("state/locks/nightly.lock"), O_RDWR | O_CREAT, 0o600)
        #expect(flock(held, LOCK_EX | LOCK_NB) == 0)
        expect(try await site.host.run(["backup"]), 6, "under way")
        close(held)
        try await site.ok(["backup"])
    }

    @Test("an expired recipient stops the backup before it starts")
    func expired() async throws {
        let site = try await site()
        let keys = try ThrowawayKeys()
        let fingerprint = try await keys.add(
            "Old <old@example.com>", for: .encryption, expires: "1d", madeAt: "20200101T000000")
        let file = try await keys.publicKeyFile(fingerprint)
        try FileManager.default.removeItem(atPath: site.folder("recipient.asc"))
        try FileManager.default.copyItem(atPath: file, toPath: site.folder("recipient.asc"))
        expect(try await site.host.run(["backup"]), 9, "expired")
        #expect(try await site.bundles().isEmpty)
    }

    @Test("a newer format is refused by name")
    func newerFormat() async throws {
        let site = try await site()
        let path = site.folder("repo/salvor.json")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacingOccurrences(of: "\"format\" : 1", with: "\"format\" : 2")
            .write(toFile: path, atomically: true, encoding: .utf8)
        expect(try await site.host.run(["backup"]), 8, "format 2", "newer salvor")
    }

    @Test("errors are JSON with --json, with code, message and hint")
    func jsonErrors() async throws {
        struct Envelope: Decodable {
            struct Problem: Decodable { var code: String, message: String, hint: String? }
            var schema: String
            var error: Problem?
        }
        let site = try await site()
        let outcome = try await site.host.run(["show", "latest", "--json"])
        #expect(outcome.status == 5)
        let envelope = try JSONDecoder().decode(Envelope.self, from: Data(outcome.output.utf8))
        #expect(envelope.error?.code == "bundle.not-found" && envelope.error?.hint != nil)
    }
}
