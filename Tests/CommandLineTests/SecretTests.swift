// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import TestSupport
import Testing

/// Keeps looking at what every process on the host shows of itself.
private final class ArgumentWatch: Sendable {
    private let secrets: [String]
    private let isOver = Atomic<Bool>(false)
    private let found = Mutex<Set<String>>([])
    private let programs = Mutex<Set<String>>([])

    init(_ secrets: [String]) {
        self.secrets = secrets
        let thread = Thread { [self] in
            while !isOver.load(ordering: .acquiring) {
                look()
                usleep(2000)
            }
        }
        thread.start()
    }

    private func look() {
        // Processes come and go while they are listed.
        for pid in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] where Int(pid) != nil {
            guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !line.isEmpty else {
                continue
            }
            let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            for secret in secrets where text.contains(secret) { found.withLock { _ = $0.insert(text) } }
            for program in ["pg_dump ", "pg_restore ", "psql ", "redis-server "] where text.contains(program) {
                programs.withLock { _ = $0.insert(program) }
            }
        }
    }

    /// Command lines that showed a secret, and which programs were seen at all.
    func end() -> (leaks: Set<String>, seen: Set<String>) {
        isOver.store(true, ordering: .releasing)
        return (found.withLock { $0 }, programs.withLock { $0 })
    }
}

@Suite("Secrets stay secret")
struct SecretTests {
    @Test("no secret is in any process's arguments, or in anything that is printed or written, from backup to settle")
    func nowhere() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        let secrets = [ThrowawayPostgreSQL.password, ServerSite.redisPassword]
        // Long enough to be seen at work.
        for name in ["pg_dump", "pg_restore", "psql"] {
            try servers.precede(name, "\"$REAL\" \"$@\"; s=$?; sleep 0.05; exit $s")
        }
        let watch = ArgumentWatch(secrets)
        var printed = ""
        func run(_ arguments: [String], _ process: SalvorProcess, _ status: Int32 = 0) async throws {
            let outcome = try await process.run(arguments)
            #expect(outcome.status == status, "\(arguments): \(outcome.errors)\(outcome.output)")
            printed += outcome.output + outcome.errors
        }
        try await run(["backup", "-v", "--json", "--progress", "json"], site.host)
        try await run(["backup", "-v"], site.host)
        try await run(["doctor", "-v"], site.host)
        try await run(["config", "show"], site.host)
        try await run(["show", "latest", "--facts", "--json"], site.owner)
        try await run(["restore", "latest", "--dry-run", "--json"], site.owner)
        try await run(["restore", "latest", "--stage-only", "-v"], site.owner)
        let restore = try #require(try await site.openRestores().first)
        try await run(["restore", "--promote", restore, "--yes", "--json", "-v"], site.owner)
        // While the old state is still kept.
        try await expectNothingWritten(servers, secrets)
        try await run(["settle", restore, "--yes"], site.owner)
        // Refused passwords are not repeated either.
        var wrong = site.host
        wrong.environment["SITE_PG"] = "wrong-secret-9b"
        wrong.environment["SITE_REDIS"] = "wrong-secret-9b"
        let refused = try await wrong.run(["backup", "--source", "app-db", "--source", "cache", "-v", "--json"])
        #expect(refused.status == 4, "\(refused.output)")
        let (leaks, seen) = watch.end()
        #expect(leaks == [])
        #expect(seen == ["pg_dump ", "pg_restore ", "psql ", "redis-server "], "the watch saw them work")
        for secret in secrets { #expect(!printed.contains(secret)) }
        #expect(!(refused.output + refused.errors).contains("wrong-secret-9b"))
        try await expectNothingWritten(servers, secrets)
        try await servers.postgres.stop()
    }

    private func expectNothingWritten(_ servers: ServerSite, _ secrets: [String]) async throws {
        for secret in secrets {
            let found = try await StockProgram.run("grep", ["-rlaF", secret, servers.site.folder.path])
            #expect(found.status == 1, "'\(secret)' is in \(found.text)")
        }
    }

    @Test("servers that are away, passwords that are wrong, rights that are missing: status, code and the way out")
    func servers() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        func refusal(_ environment: [String: String] = [:], _ source: String, _ words: [String]) async throws {
            var host = site.host
            host.environment.merge(environment) { $1 }
            let outcome = try await host.run(["backup", "--source", source, "--json"])
            #expect(outcome.status == 4, "\(outcome.output)")
            for word in words + ["preflight.refused", "\"hint\"", "source '\(source)'"] {
                #expect(outcome.output.contains(word), "'\(word)' is not in \(outcome.output)")
            }
        }
        try await refusal(["SITE_PG": "wrong"], "app-db", ["connection.password"])
        try await refusal(["SITE_REDIS": "wrong"], "cache", ["password"])
        try await servers.postgres.sql(
            "CREATE ROLE weak LOGIN PASSWORD 'weak'; REVOKE ALL ON DATABASE shop FROM public")
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write("plan.yaml", plan.replacingOccurrences(of: "user: postgres", with: "user: weak"))
        try await refusal(["SITE_PG": "weak"], "app-db", ["GRANT", "weak"])
        try site.folder.write("plan.yaml", plan)
        // A client that says it is older than the server.
        try site.folder.write("programs/pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.9'\n")
        try await refusal([:], "app-db", ["13.9", "older"])
        try FileManager.default.removeItem(atPath: site.folder("programs/pg_dump"))
        try await refusal([:], "app-db", ["pg_dump"])
        servers.redis.stop(SIGKILL)
        try await refusal([:], "cache", ["127.0.0.1"])
        try await servers.postgres.stop()
        try await refusal([:], "app-db", ["127.0.0.1"])
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.status == 10 && doctor.output.contains("FAILED"), "\(doctor.output)")
        // What is left still gets its bundle.
        let partial = try await site.host.run(["backup"])
        #expect(partial.status == 3, "\(partial.errors)")
    }
}
