// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import TestSupport
import Testing

/// `salvor drill` with the engines that its adapters start.
@Suite("Drills: engines", .serialized)
struct DrillEnginesTests {
    private func folder() throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("drills")
        try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: folder.path)
        return folder
    }

    private static func servers(_ mariadb: ThrowawayMariaDB, _ etcd: ThrowawayEtcd) -> String {
        """
        - name: shop
          adapter: mariadb
          connection: {host: 127.0.0.1, port: \(mariadb.port), user: root, password: env:SITE_MARIADB}
          drill:
            assert:
              - {sql: "SELECT COUNT(*) = 3 FROM orders"}
              - command: [sh, -c, 'test "$(mariadb --defaults-file="$SALVOR_DRILL_DEFAULTS_FILE" -N shop -e "SELECT MAX(id) FROM orders")" = 3']
        - name: control-plane
          adapter: etcd
          connection: {endpoint: "\(etcd.endpoint)"}
          temporary-directory: $DIR
          drill: {assert: [{command: [sh, -c, 'test "$(etcdctl get /a --print-value-only)" = b']}]}
        """
    }

    @Test("MariaDB, etcd and a program's output come back while all that is live is gone, and hold what the plan asks")
    func whole() async throws {
        let folder = try folder()
        async let starting = ThrowawayMariaDB.start()
        let (etcd, mariadb) = (try await ThrowawayEtcd(), try await starting)
        let site = try await Site.make(
            sources: Self.servers(mariadb, etcd) + "\n" + """
                - name: ledger
                  adapter: command
                  capture: {run: [cat, $DIR/ledger], count: [grep, -c, entry]}
                  restore: {run: [sh, -c, "cat >$DIR/ledger"]}
                  drill:
                    restore: [sh, -c, 'cat >"$0/ledger"', "{folder}"]
                    assert: [{command: [sh, -c, 'grep -q "entry 2" "$SALVOR_DRILL_PATH/ledger"']}]
                """, environment: ["SITE_MARIADB": ThrowawayMariaDB.password])
        try await mariadb.sql("CREATE DATABASE shop; USE shop; CREATE TABLE orders AS SELECT seq AS id FROM seq_1_to_3")
        try await etcd.ctl(["put", "/a", "b"])
        try site.folder.write("ledger", "entry 1\nentry 2\n")
        try await site.ok(["backup"])
        try await mariadb.stop()
        try await etcd.stop()
        try FileManager.default.removeItem(atPath: site.folder("ledger"))

        let passed = try await site.ok(["drill", "--folder", folder.path], as: site.owner)
        #expect(passed.contains("2 assertions hold"), "\(passed)")
        #expect(passed.components(separatedBy: "1 assertion holds").count == 3, "\(passed)")
        #expect(passed.contains("passed\nrecorded at"), "\(passed)")
        #expect(!FileManager.default.fileExists(atPath: site.folder("ledger")), "the live restore was run")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        #expect(try DrilledRestore.running(below: folder.path) == [])
        let shown = try await site.ok(["config", "show"])
        #expect(shown.contains("restore:") && shown.contains("\"{folder}\""), "\(shown)")

        // Without its program, the ledger fails alone, and its remedy says what to write.
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        let lines = plan.components(separatedBy: "\n")
        try site.folder.write(
            "plan.yaml", lines.filter { !$0.contains("restore: [sh, -c, 'cat >") }.joined(separator: "\n"))
        let failed = try await site.owner.run(["drill", "--source", "ledger", "--folder", folder.path])
        #expect(failed.status == 1 && failed.output.contains("names no program that restores it"), "\(failed)")
        #expect(failed.output.contains("drill: {restore: [PROGRAM, \"{folder}\"]}"), "\(failed)")
    }

    @Test(
        "killed in the middle, MariaDB's and etcd's servers end with it, and the next drill removes its folder; interrupted, they and the folder are gone at once"
    )
    func killed() async throws {
        let folder = try folder()
        async let starting = ThrowawayMariaDB.start()
        let (etcd, mariadb) = (try await ThrowawayEtcd(), try await starting)
        let site = try await Site.make(
            sources: Self.servers(mariadb, etcd), environment: ["SITE_MARIADB": ThrowawayMariaDB.password])
        try await mariadb.sql("CREATE DATABASE shop; USE shop; CREATE TABLE orders AS SELECT seq AS id FROM seq_1_to_3")
        try await etcd.ctl(["put", "/a", "b"])
        try await site.ok(["backup"])
        let path = folder.path
        for (source, socket, signal) in [
            ("shop", "/s", SIGKILL), ("control-plane", "/localhost:2379", SIGKILL), ("shop", "/s", SIGTERM),
            ("control-plane", "/localhost:2379", SIGTERM),
        ] {
            let outcome = try await site.owner.run(
                ["drill", "--source", source, "--folder", path],
                when: {
                    let found = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
                    return found.contains { $0.hasSuffix(socket) }
                }, signal: signal)
            #expect(outcome.status == 128 + signal, "\(source): \(outcome)")
            let left = try FileManager.default.contentsOfDirectory(atPath: path).count
            #expect(left == (signal == SIGKILL ? 1 : 0), "\(source)")
            if signal == SIGTERM { #expect(try DrilledRestore.running(below: path) == [], "\(source)") }
            let deadline = ContinuousClock.now + .seconds(15)
            while try !DrilledRestore.running(below: path).isEmpty, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try DrilledRestore.running(below: path) == [], "\(source)")
        }
        try await site.ok(["drill", "--source", "control-plane", "--folder", path], as: site.owner)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [])
        try await mariadb.stop()
        try await etcd.stop()
    }

    @Test("what cannot be drilled is refused with why and what to do instead, and keeps nothing else from being tried")
    func refused() async throws {
        let folder = try folder()
        let (qdrant, meilisearch) = (try QdrantDouble(key: "q-key"), try MeilisearchDouble(key: "m-key"))
        qdrant.put("docs", TenSite.points(4))
        meilisearch.put("movies", TenSite.documents(3))
        let site = try await Site.make(
            sources: """
                - {name: vectors, adapter: qdrant, connection: {url: "\(qdrant.url)", api-key: env:SITE_QDRANT}}
                - {name: movies, adapter: meilisearch, connection: {url: "\(meilisearch.url)", api-key: env:SITE_MEILI}}
                - {name: config, adapter: files, paths: [$DIR/etc]}
                """, environment: ["SITE_QDRANT": "q-key", "SITE_MEILI": "m-key"])
        try site.folder.write("etc/a", "a\n")
        try await site.ok(["backup"])
        let outcome = try await site.owner.run(["drill", "--folder", folder.path])
        #expect(outcome.status == 1, "\(outcome)")
        for name in ["qdrant", "meilisearch"] {
            #expect(outcome.output.contains("'\(name)' sources cannot be drilled: Salvor starts no "), "\(outcome)")
        }
        #expect(outcome.output.contains("salvor restore --stage-only"), "\(outcome)")
        #expect(outcome.output.contains("facts equal"), "\(outcome.output)")

        // Neither are they asked anything, nor does a program stand in for them.
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        for (drill, words) in [
            ("{restore: [cat]}", "take no program there"), ("{assert: [{command: [ls]}]}", "asks with 'command'"),
        ] {
            try site.folder.write(
                "plan.yaml",
                plan.replacingOccurrences(
                    of: "api-key: env:SITE_MEILI}", with: "api-key: env:SITE_MEILI}, drill: \(drill)"))
            let checked = try await site.host.run(["config", "check"])
            #expect(checked.status == 2 && checked.errors.contains(words), "\(drill): \(checked.errors)")
        }
    }
}
