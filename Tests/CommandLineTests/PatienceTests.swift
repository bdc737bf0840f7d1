// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// Waiting for another run, trying again, and losing patience.
@Suite("Waiting, trying again, time limits")
struct PatienceTests {
    private func edit(_ site: Site, _ old: String, _ new: String) throws {
        let text = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        #expect(text.contains(old))
        try site.folder.write("plan.yaml", text.replacing(old, with: new))
    }

    @Test("a dump that breaks off once is taken again, and the bundle has it once")
    func retries() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try edit(site, "adapter: postgresql", "adapter: postgresql\n    retries: 2\n    retry-delay: 1s")
        try servers.precede(
            "pg_dump",
            """
            if mkdir \(site.folder("broke-once")) 2>/dev/null; then "$REAL" "$@" | head -c 200000; exit 1; fi
            exec "$REAL" "$@"
            """)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("source 'app-db': attempt 1 of 3 failed, next in 1s"), "\(outcome.errors)")
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        try await site.ok(
            ["restore", "latest", "--source", "app-db", "--rename", "app-db=copy", "--yes"], as: site.owner)
        // One database is renamed by its own name.
        let names = try await servers.postgres.sql("SELECT string_agg(datname, ' ') FROM pg_database")
        #expect(names.contains("copy"), "\(names)")
        try await servers.postgres.stop()
    }

    @Test("a server that is not there yet is asked again before it counts as refused")
    func preflight() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try edit(site, "adapter: redis", "adapter: redis\n    retries: 1\n    retry-delay: 1s")
        try await site.ok(["backup"])
        servers.redis.stop(SIGKILL)
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome.errors)")
        #expect(outcome.errors.contains("attempt 1 of 2 failed") && outcome.output.contains("(after 2 attempts)"))
        try await servers.postgres.stop()
    }

    @Test("a source that takes longer than it may is ended with its programs, and the others are in the bundle")
    func timeLimit() async throws {
        let servers = try await ServerSite.make()
        let site = servers.site
        try edit(
            site, "adapter: postgresql", "adapter: postgresql\n    time-limit: 3s\n    retries: 5\n    retry-delay: 5s")
        try servers.precede("pg_dump", "\"$REAL\" \"$@\" | head -c 100000; sleep 600")
        let begun = ContinuousClock.now
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome.errors)\(outcome.output)")
        #expect(outcome.output.contains("was stopped by its time limit of 3s"), "\(outcome.output)")
        #expect(!outcome.errors.contains("attempt 1"), "no time is left for another attempt")
        #expect(ContinuousClock.now - begun < .seconds(60))
        #expect(try servers.processes() == [])
        try await servers.waitForSessions()
        try await site.ok(["validate-backup", "latest"])
        try await servers.postgres.stop()
    }

    /// The lock that a run of the plan holds, taken by this process.
    private func takeLock(_ site: Site) throws -> Int32 {
        try FileManager.default.createDirectory(atPath: site.folder("state/locks"), withIntermediateDirectories: true)
        let lock = open(site.folder("state/locks/nightly.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        #expect(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock
    }

    @Test("--wait waits for another run to end, as long as it is told to, and a signal ends the wait")
    func wait() async throws {
        let site = try await Site.make(sources: "- {name: config, adapter: files, paths: [$DIR/etc]}")
        try site.folder.write("etc/app.conf", "listen 80\n")
        let lock = try takeLock(site)
        #expect(try await site.host.run(["backup"]).status == 6)
        let begun = ContinuousClock.now
        let inVain = try await site.host.run(["backup", "--wait", "1s"])
        #expect(inVain.status == 6 && inVain.errors.contains("under way"), "\(inVain.errors)")
        #expect(ContinuousClock.now - begun >= .seconds(1))
        #expect(
            try await site.host.run(["backup", "--wait", "soon"]).status == 5, "a word that is no duration is a plan")

        let process = Process()
        process.executableURL = URL(fileURLWithPath: SalvorProcess.path)
        process.arguments = ["backup", "--wait"]
        process.environment = ProcessInfo.processInfo.environment.merging(site.host.environment) { $1 }
        try site.folder.write("errors", "")
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: site.folder("errors")))
        process.standardOutput = FileHandle.nullDevice
        try process.start()
        // It has said that it waits; only then is the lock given back.
        while process.isRunning,
            try !String(contentsOfFile: site.folder("errors"), encoding: .utf8).contains("waiting: another run")
        {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(process.isRunning)
        close(lock)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try await site.bundles().count == 1)

        let again = try takeLock(site)
        let stopped = try await site.host.run(["backup", "--wait", "1h"], after: 1, signal: SIGINT)
        #expect(stopped.status == 130, "\(stopped.errors)")
        close(again)
    }
}
