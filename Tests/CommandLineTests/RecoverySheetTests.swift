// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The page in the safe: what it says is done to the letter.
@Suite("The recovery sheet")
struct RecoverySheetTests {
    /// The commands of the sheet's numbered parts, in order.
    private func parts(_ sheet: String) -> [[String]] {
        var parts: [[String]] = []
        for line in sheet.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.first?.isNumber == true { parts.append([]) }
            if line.hasPrefix("    "), !parts.isEmpty {
                parts[parts.count - 1].append(line.trimmingPrefix("    ").description)
            }
        }
        return parts
    }

    @Test(
        "names both keys, says where the secret one is, and its commands bring everything back, with and without salvor"
    )
    func followed() async throws {
        let site = try await Site.make(
            sources: """
                - {name: config, adapter: files, paths: [$DIR/etc]}
                - {name: search, adapter: sqlite, path: $DIR/search.db}
                """)
        try site.folder.write("etc/app.conf", "listen 80\n")
        try site.folder.write("etc/certs/a.pem", String(repeating: "a", count: 100_000))
        _ = try await StockProgram.run(
            "sqlite3", [site.folder("search.db"), "CREATE TABLE t(a); INSERT INTO t VALUES (1);"])
        try await site.ok(["backup"])
        try site.folder.write("etc/app.conf", "listen 443\n")
        try await site.ok(["backup"])
        let database = try await StockProgram.run("sqlite3", [site.folder("search.db"), ".dump"]).text

        let recovery = site.folder("recovery")
        let made = try FileManager.default.contentsOfDirectory(atPath: recovery)
        let sheetFile = try #require(made.first { $0.hasSuffix(".recovery-sheet.txt") })
        let secretFile = try #require(made.first { $0.hasSuffix(".secret.asc") })
        #expect(made.count == 2)
        let sheet = try String(contentsOfFile: "\(recovery)/\(sheetFile)", encoding: .utf8)
        struct Descriptor: Decodable { var recipients: [String], signers: [String] }
        let descriptor = try JSONDecoder().decode(
            Descriptor.self, from: Data(contentsOf: URL(fileURLWithPath: site.folder("repo/salvor.json"))))
        #expect(descriptor.recipients.count == 1 && descriptor.signers.count == 1)
        for wanted in [
            "recipient    \(descriptor.recipients[0])\n", "signer       \(descriptor.signers[0])\n",
            "secret key   \(recovery)/\(secretFile): move it off this host", "away from the machines it protects",
            "repository   file://\(site.folder("repo"))", site.folder("plan.yaml"),
        ] { #expect(sheet.contains(wanted), "the sheet lacks '\(wanted)':\n\(sheet)") }
        let parts = parts(sheet)
        try #require(parts.count == 3, "\(sheet)")

        // Another machine: the folder from the safe, no keyring, no state.
        let safe = try TemporaryDirectory("safe")
        for name in made {
            try FileManager.default.copyItem(atPath: "\(recovery)/\(name)", toPath: safe(name))
        }
        let script =
            "set -eu\nsalvor() { \"$SALVOR_BINARY\" \"$@\"; }\n" + parts.joined().joined(separator: "\n") + "\n"
        let run = try await StockProgram.run(
            "/bin/sh", ["-c", script + "gpgconf --kill gpg-agent"], directory: safe.path,
            environment: [
                "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "TMPDIR": safe.path,
                "SALVOR_BINARY": SalvorProcess.path, "SALVOR_STATE_DIR": safe("state"),
                "LD_LIBRARY_PATH": ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? "",
            ])
        try #require(run.status == 0, "\(run.errors)\n\(run.text)\n\(script)")
        #expect(run.text.contains(descriptor.recipients[0]) && run.text.contains(descriptor.signers[0]))
        #expect(run.text.contains("REPLACES"), "the dry run tells what a restore in place would do: \(run.text)")

        let wanted = try site.tree("etc")
        for (folder, databaseName) in [
            ("recovered-by-salvor", "search.db"), ("recovered-by-hand", "database"),
        ] {
            let path = safe("\(folder)/config\(site.folder("etc"))")
            for (name, bytes) in wanted where !bytes.isEmpty {
                #expect(FileManager.default.contents(atPath: "\(path)/\(name)") == bytes, "\(folder): \(name)")
            }
            // The online backup rewrites counters of the file's header.
            let recovered = try await StockProgram.run(
                "sqlite3", [safe("\(folder)/search/\(databaseName)"), ".dump"]
            ).text
            #expect(recovered == database && database.contains("VALUES(1)"), "\(folder)")
        }
    }

    @Test("for a bucket it fetches a copy first, and what a path holds is one word to the shell")
    func bucket() async throws {
        let folder = try TemporaryDirectory("sheet")
        let keys = try ThrowawayKeys()
        let plan = try folder.write(
            "it's a plan.yaml",
            """
            plan: nightly
            repository:
              store: s3://bucket/prefix
              s3: {endpoint: "http://127.0.0.1:1", credentials: {access-key: env:A, secret-key: env:B}}
            encryption: {recipients: ["file:\(folder("r.asc"))"]}
            sources: [{name: config, adapter: files, paths: [/etc]}]
            """)
        // Nobody answers there: the keys and the sheet are made before that is found out.
        let outcome = try await SalvorProcess([
            "GNUPGHOME": keys.home, "SALVOR_STATE_DIR": folder("state"), "A": "a", "B": "b",
        ]).run(["init", "--config", plan, "--generate-keys", "--recovery-directory", folder("recovery")])
        #expect(outcome.status != 0)
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder("recovery")).first { $0.hasSuffix("sheet.txt") })
        let sheet = try String(contentsOfFile: folder("recovery/\(name)"), encoding: .utf8)
        #expect(
            sheet.contains("    aws s3 sync --endpoint-url 'http://127.0.0.1:1' 's3://bucket/prefix' repository\n"),
            "\(sheet)")
        #expect(sheet.contains("restore latest:nightly --config '\(folder.path)/it'\\''s a plan.yaml'"), "\(sheet)")
        #expect(sheet.contains("sh ../repository/recover.sh"), "\(sheet)")
        for command in parts(sheet).joined() {
            #expect(try await StockProgram.run("/bin/sh", ["-n", "-c", command]).status == 0, "\(command)")
        }
    }
}
