// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// A host whose key may put objects and nothing else, at a server that refuses everything else.
@Suite("Put-only credentials")
struct PutOnlyTests {
    /// A site whose host may do everything, and the same host and plan with a key that may only put.
    private struct Pair {
        let site: Site
        let host: SalvorProcess

        /// - Parameter state: the state folder of the host that may only put; the site's own unless given.
        static func make(state: String = "state", retention: String = "{yearly: 1, minimum-good: 1}") async throws
            -> Pair
        {
            let server = try await SeaweedFS.shared()
            let bucket = try server.plain.makeBucket()
            func repository(_ access: String) -> String {
                """
                {store: "s3://\(bucket)/prod", \(access)s3: {endpoint: "\(server.plain.url)", region: \(server.plain.region), \
                addressing: path, credentials: {access-key: env:SITE_KEY, secret-key: env:SITE_SECRET}}}
                """
            }
            let site = try await Site.make(
                sources: """
                    - {name: search, adapter: sqlite, path: $DIR/search.db}
                    - {name: config, adapter: files, paths: [$DIR/etc]}
                    """, repository: repository(""), encryption: "retention: \(retention)",
                environment: ["SITE_KEY": server.plain.accessKey, "SITE_SECRET": server.plain.secretKey])
            let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
            try site.folder.write(
                "put.yaml", plan.replacingOccurrences(of: repository(""), with: repository("access: put-only, ")))
            var host = site.host
            host.environment["SALVOR_CONFIG"] = site.folder("put.yaml")
            host.environment["SALVOR_STATE_DIR"] = site.folder(state)
            host.environment["SITE_KEY"] = server.putOnly.accessKey
            host.environment["SITE_SECRET"] = server.putOnly.secretKey
            let pair = Pair(site: site, host: host)
            try site.folder.write("etc/app.conf", "listen 80\n")
            try await pair.rows(0..<3000)
            return pair
        }

        func rows(_ range: Range<Int>) async throws {
            let values = range.map { "(\($0), 'row \($0) \(($0 &* 2_654_435_761) % 1_000_003)')" }
            let sql =
                "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT); "
                + "INSERT INTO t VALUES \(values.joined(separator: ","));"
            _ = try await StockProgram.run("sqlite3", [site.folder("search.db"), sql])
        }

        func storages(_ text: String) throws -> [String] {
            struct Envelope: Decodable {
                struct Result: Decodable { var bundles: [Manifest] }
                var result: Result
            }
            let made = try JSONDecoder().decode(Envelope.self, from: Data(text.utf8)).result.bundles
            return made.flatMap(\.sources).flatMap(\.streams).map(\.storage.rawValue)
        }
    }

    @Test("a host that made the repository goes on with a key that may only put: full, deltas, chain, records, restore")
    func nights() async throws {
        let pair = try await Pair.make()
        let site = pair.site
        let full = try await site.ok(["backup", "--json"], as: pair.host)
        #expect(try pair.storages(full) == ["full", "full"], "nothing here was made by a host that may not look")
        try await pair.rows(3000..<3010)
        try site.folder.write("etc/more.conf", "yes\n")
        let second = try await site.ok(["backup", "--json"], as: pair.host)
        #expect(try pair.storages(second) == ["delta", "incremental"])
        let third = try await site.ok(["backup"], as: pair.host)
        #expect(third.contains("complete bundle"))

        // Another host, which may do more, finds all of it in order.
        #expect(try await site.bundles().count == 3)
        try await site.ok(["validate-backup", "--all", "--plan", "nightly", "--level", "checksum"])
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        let runs = try await site.ok(["list-runs"])
        #expect(
            runs.components(separatedBy: " backup ").count == 4 && !runs.contains("not in the repository"), "\(runs)")
        try await site.ok(["restore", "latest", "--to-directory", site.folder("out")], as: site.owner)
        let restored = try await StockProgram.run(
            "sqlite3", [site.folder("out/search/search.db"), "SELECT count(*), max(id) FROM t"])
        #expect(restored.text.contains("3010|3009"), "\(restored.text)")

        // What a later run may refer to without looking stays, whatever the policy says.
        let prune = try await site.ok(["prune"])
        #expect(prune.contains("runs that may only put can still refer to it"), "\(prune)")
        let ids = try await site.bundles()
        try await site.ok(["delete", ids[1]])
        let afterwards = try await site.ok(["prune"])
        #expect(afterwards.contains("base of") && !afterwards.contains("REFUSED"), "\(afterwards)")
    }

    @Test(
        "what takes another right says which, asks nobody, and ends with status 7; status and doctor tell what they can"
    )
    func refusals() async throws {
        let pair = try await Pair.make()
        try await pair.site.ok(["backup"], as: pair.host)
        for (command, right) in [
            (["list-backups"], "to list"), (["validate-backup", "latest"], "to list"), (["prune"], "to list"),
            (["prune", "--apply"], "to list"), (["restore", "latest", "--dry-run"], "to list"), (["init"], "to read"),
            (["show", "latest"], "to list"), (["signers"], "to list"),
        ] {
            let outcome = try await pair.host.run(command)
            #expect(outcome.status == 7, "\(command): \(outcome.errors)")
            #expect(
                outcome.errors.contains("the plan may only put into")
                    && outcome.errors.contains("takes the right \(right)"),
                "\(command): \(outcome.errors)")
        }
        let status = try await pair.host.run(["status"])
        #expect(status.status == 0 && status.output.contains("is for another host to look at"), "\(status.output)")
        let doctor = try await pair.host.run(["doctor"])
        #expect(doctor.status == 0 && doctor.output.contains("put-only: repository"), "\(doctor.output)")
        #expect(doctor.output.contains("these credentials may not delete"), "\(doctor.output)")
        #expect(try await pair.host.run(["notify", "check"]).status == 0)
        #expect(try await pair.host.run(["drill"]).status == 7)
    }

    @Test(
        "a host is told of a repository that others made; without that it refuses, and its chain goes on or begins anew"
    )
    func handover() async throws {
        let pair = try await Pair.make(state: "other-state")
        let site = pair.site
        let unknown = try await pair.host.run(["backup"])
        #expect(unknown.status == 4 && unknown.errors.contains("knows nothing of the repository"), "\(unknown.errors)")
        #expect(unknown.errors.contains("salvor init --hand-over"))
        try await site.ok(["backup"])
        let first = try #require(try await site.bundles().first)
        try await site.ok(["init", "--hand-over", site.folder("told.json")])
        let told = try await site.ok(["init", "--accept", site.folder("told.json")], as: pair.host)
        #expect(told.contains("the chain goes on from \(first)"), "\(told)")
        try await site.ok(["backup"], as: pair.host)
        #expect(try await site.ok(["show", "latest"]).contains("previous    \(first)"))

        // The plan's notes are lost: it says so, and so does the bundle.
        let id = try #require(
            try FileManager.default.contentsOfDirectory(atPath: site.folder("other-state/repositories")).first)
        try FileManager.default.removeItem(atPath: site.folder("other-state/repositories/\(id)"))
        let anew = try await pair.host.run(["backup", "--progress", "json"])
        #expect(anew.status == 0 && anew.errors.contains("a chain begins anew"), "\(anew.errors)")
        #expect(try await site.ok(["show", "latest"]).contains("none: a chain begins here"))
        #expect(try await site.ok(["show", "latest"]).contains("full"))
        try await site.ok(["validate-backup", "--all", "--plan", "nightly", "--level", "checksum"])
        let wrong = try await pair.host.run(["init", "--accept", site.folder("plan.yaml")])
        #expect(wrong.status == 1 && wrong.errors.contains("is not what 'salvor init --hand-over' writes"))
    }

    @Test("a failed source's second attempt, an interrupted run and a proof that reads back are what they can be")
    func limits() async throws {
        let pair = try await Pair.make()
        let plan = try String(contentsOfFile: pair.site.folder("put.yaml"), encoding: .utf8)
        try pair.site.folder.write(
            "put.yaml", plan.replacingOccurrences(of: "encryption:\n", with: "encryption:\n  prove: contents\n"))
        let proving = try await pair.host.run(["backup"])
        #expect(
            proving.status == 2 && proving.errors.contains("'prove: contents' reads everything back"),
            "\(proving.errors)")
        try pair.site.folder.write("put.yaml", plan)
        try FileManager.default.moveItem(atPath: pair.site.folder("etc"), toPath: pair.site.folder("gone"))
        let partial = try await pair.host.run(["backup"])
        #expect(partial.status == 3, "\(partial.errors)")
        #expect(try await pair.site.bundles().count == 1)
        try await pair.site.ok(["validate-backup", "latest", "--level", "checksum"])
    }
}
