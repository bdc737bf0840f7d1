// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A site whose tree and database have what is hard to carry: links across nights, holes, more than one segment.
struct ExportSite: Sendable {
    let site: Site
    let owner: SalvorProcess

    static func make() async throws -> ExportSite {
        let site = try await Site.make(
            sources: """
                - name: config
                  adapter: files
                  paths: [$DIR/etc]
                - name: search
                  adapter: sqlite
                  path: $DIR/search.db
                """)
        var owner = site.owner
        try FileManager.default.createDirectory(atPath: site.folder("tmp"), withIntermediateDirectories: true)
        owner.environment["TMPDIR"] = site.folder("tmp")
        let made = ExportSite(site: site, owner: owner)
        for name in ["app.conf", "certs/a.pem", "certs/b.pem", "m/1", "m/2", "m/3", "z"] {
            try site.folder.write("etc/\(name)", String(repeating: "\(name)\n", count: 500))
        }
        try await made.shell(
            """
            cd etc; chmod 640 app.conf; ln app.conf a; ln a b; ln -s a link; seq 1 5000000 > large
            truncate -s 200M sparse; echo end >> sparse
            """)
        try await made.sql(
            """
            CREATE TABLE t(a INTEGER PRIMARY KEY, b); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c
            WHERE x < 36000) INSERT INTO t(b) SELECT randomblob(1000) FROM c;
            """)
        return made
    }

    func callAsFunction(_ name: String) -> String { site.folder(name) }

    /// Takes a bundle, then waits for the next second, which is what bundles are ordered by.
    func backUp() async throws {
        try await site.ok(["backup"])
        let second = Int(Date().timeIntervalSince1970)
        while Int(Date().timeIntervalSince1970) == second { try await Task.sleep(for: .milliseconds(20)) }
    }

    /// What happens between two nights.
    func change() async throws {
        try await shell(
            """
            cd etc; rm certs/b.pem m/2; echo new > new.conf; echo more >> m/3; ln b c; mkdir aa; echo first > aa/0
            """)
        try await sql("UPDATE t SET b = 'zwei' WHERE a = 2;")
    }

    func tree() throws -> [String: Data] { try site.tree("etc") }

    func sql(_ text: String) async throws {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("search.db"), text])
        try #require(outcome.status == 0, "\(outcome.errors)")
    }

    /// A digest of the database's content.
    func rows(_ path: String? = nil) async throws -> String {
        try await shell("sqlite3 \(path ?? site.folder("search.db")) .dump | sha256sum")
    }

    /// Runs a script in the site's folder with the owner's keys; every part of a pipe must succeed.
    @discardableResult
    func shell(_ script: String) async throws -> String {
        var environment = ProcessInfo.processInfo.environment.merging(owner.environment) { $1 }
        let folder = URL(fileURLWithPath: SalvorProcess.path).deletingLastPathComponent().path
        environment["PATH"] = "\(folder):\(environment["PATH"] ?? "/usr/bin:/bin")"
        let outcome = try await StockProgram.run(
            "bash", ["-e", "-o", "pipefail", "-c", script], directory: site.folder.path, environment: environment)
        try #require(outcome.status == 0, "\(script): \(outcome.errors)")
        return outcome.text
    }

    /// The owner at a second repository of the same plan, with a state of its own.
    func otherRepository() async throws -> SalvorProcess {
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "other.yaml", plan.replacingOccurrences(of: site.folder("repo"), with: site.folder("other")))
        var other = owner
        other.environment["SALVOR_CONFIG"] = site.folder("other.yaml")
        other.environment["SALVOR_STATE_DIR"] = site.folder("other-state")
        let signer = try await signer()
        try site.folder.write(
            "other.yaml",
            try String(contentsOfFile: site.folder("other.yaml"), encoding: .utf8).replacingOccurrences(
                of: "encryption:", with: "encryption:\n  signer: \(signer)\n  prove: contents"))
        try await site.ok(["init"], as: other)
        return other
    }

    /// The fingerprint of the host's signing key.
    func signer() async throws -> String {
        struct Descriptor: Decodable { var signers: [String] }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: site.folder("repo/salvor.json")))
        return try #require(try JSONDecoder().decode(Descriptor.self, from: bytes).signers.first)
    }

    func bundles(of process: SalvorProcess) async throws -> [String] {
        struct Listing: Decodable {
            struct Entry: Decodable { var id: String }
            var result: [Entry]
        }
        let text = try await site.ok(["list-backups", "--json"], as: process)
        return try JSONDecoder().decode(Listing.self, from: Data(text.utf8)).result.map(\.id)
    }
}
