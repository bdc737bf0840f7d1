// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import PostgreSQL
import TestSupport
import Testing

@Suite("PostgreSQL captures that must fail")
struct CaptureFailureTests {
    /// A folder of client programs in which `pg_dump` is `script`; `$REAL` in it is the real one.
    private func programs(_ server: ThrowawayPostgreSQL, pgDump script: String) throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory("programs")
        for name in ["psql", "pg_dumpall", "pg_restore"] {
            try FileManager.default.createSymbolicLink(
                atPath: folder(name), withDestinationPath: "\(server.binaries)/\(name)")
        }
        try folder.write(
            "pg_dump",
            """
            #!/bin/sh
            REAL=\(server.binaries)/pg_dump
            case "$*" in --version) exec "$REAL" --version;; esac
            \(script)
            """)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder("pg_dump"))
        return folder
    }

    private func filled(_ server: ThrowawayPostgreSQL) async throws {
        try await server.sql("CREATE DATABASE app")
        try await server.sql(
            "CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 50000) i; "
                + "CREATE TABLE u AS SELECT * FROM t LIMIT 10", database: "app")
    }

    @Test("pg_dump killed half way, and an archive cut behind a good exit status, fail the capture")
    func cut() async throws {
        try await withServers(15) { servers in
            try await filled(servers[0])
            let whole = try await Captured(try Fixture.adapter(servers[0], ["databases": Fixture.text("app")]))
            let length = try #require(whole.capture.bytes("db.app")?.count)
            for (script, words) in [
                (#""$REAL" "$@" | { head -c 300000; kill -9 $$; }"#, "signal 9"),
                (#""$REAL" "$@" | head -c 300000; exit 0"#, "damaged"),
                (#""$REAL" "$@" | head -c \#(length - 1); exit 0"#, "damaged"),
                (#""$REAL" --exclude-table-data=u "$@" >/dev/null; exit 0"#, "damaged"),
                (#""$REAL" "$@"; exit 3"#, "exit status 3"),
            ] {
                let folder = try programs(servers[0], pgDump: script)
                let adapter = try Fixture.adapter(
                    servers[0], programs: folder.path, ["databases": Fixture.text("app")])
                let failed = await failure { try await Captured(adapter) }
                #expect(failed?.summary.contains(words) == true, "\(script): \(String(describing: failed))")
                #expect(failed?.summary.contains("'app'") == true)
            }
            #expect(
                try await servers[0].sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'salvor'")
                    == "0", "no snapshot is left open")
        }
    }

    @Test("the password is in no process's arguments while a dump runs, and not in errors")
    func secrets() async throws {
        try await withServers(15) { servers in
            try await filled(servers[0])
            let script = """
                printf %s "$PGPASSWORD" > "$0.secret"
                grep -lF -f "$0.secret" /proc/[0-9]*/cmdline > "$0.found" 2>/dev/null
                exec "$REAL" "$@"
                """
            let folder = try programs(servers[0], pgDump: script)
            _ = try await Captured(
                try Fixture.adapter(servers[0], programs: folder.path, ["databases": Fixture.text("app")]))
            #expect(
                try String(contentsOfFile: folder("pg_dump.secret"), encoding: .utf8) == ThrowawayPostgreSQL.password)
            #expect(try String(contentsOfFile: folder("pg_dump.found"), encoding: .utf8) == "")
            let wrong = try Fixture.adapter(servers[0], password: "not-the-passw0rd")
            let denied = await failure { try await Captured(wrong) }
            #expect(denied?.code == .sourceDenied)
            #expect(denied?.hint?.contains("connection.password") == true)
            #expect("\(String(describing: denied))".contains("not-the-passw0rd") == false)
            let checks = await wrong.preflight()
            #expect(checks.map(\.state) == [.failed])
            #expect(checks.first?.code == Failure.Code.sourceDenied.text)
            #expect(!"\(checks)".contains("not-the-passw0rd"))
        }
    }

    @Test("a locked table fails the capture after the lock time-out and names the way out")
    func locked() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await filled(server)
            let holder = Task {
                try await server.sql(
                    "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)", database: "app")
            }
            while try await server.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted")
                == "0"
            {
                try await Task.sleep(for: .milliseconds(50))
            }
            let adapter = try Fixture.adapter(
                server, ["databases": Fixture.text("app"), "lock-timeout": Fixture.text("300ms")])
            let failed = await failure { try await Captured(adapter) }
            #expect(failed?.summary.contains("lock timeout") == true, "\(String(describing: failed))")
            #expect(failed?.hint?.contains("lock-timeout") == true)
            holder.cancel()
            _ = await holder.result
        }
    }

    @Test("a server that is not there, a database that is not there and an empty selection are told apart")
    func missing() async throws {
        try await withServers(15) { servers in
            let absent = try Fixture.adapter(servers[0], ["databases": Fixture.list(["postgres", "nope"])])
            #expect(await failure { try await Captured(absent) }?.summary.contains("'nope' does not exist") == true)
            let none = try Fixture.adapter(servers[0], ["exclude": Fixture.text("*")])
            #expect(await failure { try await Captured(none) }?.code == .nothingSelected)
            let adapter = try Fixture.adapter(servers[0])
            try await servers[0].stop()
            let unreachable = await failure { try await Captured(adapter) }
            #expect(unreachable?.code == .sourceUnreachable)
        }
    }

    @Test("cancelling a capture ends its programs and leaves no session on the server")
    func cancelled() async throws {
        try await withServers(15) { servers in
            let server = servers[0]
            try await filled(server)
            let folder = try programs(server, pgDump: #""$REAL" "$@" | head -c 300000; touch "$0.reached"; sleep 60"#)
            let adapter = try Fixture.adapter(server, programs: folder.path, ["databases": Fixture.text("app")])
            let task = Task { try await Captured(adapter) }
            while !FileManager.default.fileExists(atPath: folder("pg_dump.reached")) {
                try await Task.sleep(for: .milliseconds(50))
            }
            task.cancel()
            let elapsed = await ContinuousClock().measure { _ = await task.result }
            #expect(elapsed < .seconds(40))
            while try await server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'salvor'") != "0"
            {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}
