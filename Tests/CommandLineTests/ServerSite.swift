// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// A site with a PostgreSQL and a Redis server whose secrets come from the environment, and PostgreSQL client programs
/// that a test can put something in front of.
struct ServerSite: Sendable {
    static let redisPassword = "redis-secret-41c7"
    let site: Site
    let postgres: ThrowawayPostgreSQL
    let redis: ThrowawayRedis
    /// Programs started by salvor leave their temporary files here.
    let temporary: String

    static func make() async throws -> ServerSite {
        let folder = try TemporaryDirectory("site")
        let postgres = try await ThrowawayPostgreSQL.start()
        let redis = try ThrowawayRedis(password: redisPassword)
        try FileManager.default.createDirectory(atPath: folder("tmp"), withIntermediateDirectories: true)
        for name in ["psql", "pg_dumpall", "pg_dump", "pg_restore"] {
            try folder.write("programs/\(name)", "#!/bin/sh\nexec \(postgres.binaries)/\(name) \"$@\"\n")
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: folder("programs/\(name)"))
        }
        let site = try await Site.make(
            sources: """
                - name: cache
                  adapter: redis
                  connection: {host: 127.0.0.1, port: \(redis.port), password: env:SITE_REDIS}
                - name: app-db
                  adapter: postgresql
                  connection: {host: 127.0.0.1, port: \(postgres.port), user: postgres, password: env:SITE_PG}
                  databases: [shop]
                  programs: $DIR/programs
                - {name: config, adapter: files, paths: [$DIR/etc]}
                """,
            environment: [
                "SITE_PG": ThrowawayPostgreSQL.password, "SITE_REDIS": redisPassword, "TMPDIR": folder("tmp"),
            ], keeping: folder)
        let made = ServerSite(site: site, postgres: postgres, redis: redis, temporary: folder("tmp"))
        try folder.write("etc/app.conf", "listen 80\n")
        try await postgres.sql("CREATE DATABASE shop")
        try await postgres.sql(
            "CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 20000) i", database: "shop")
        try redis.cli("SET", "a", "1")
        return made
    }

    /// Puts shell lines in front of a client program, for every call but `--version`.
    func precede(_ name: String, _ script: String) throws {
        try site.folder.write(
            "programs/\(name)",
            "#!/bin/sh\nREAL=\(postgres.binaries)/\(name)\ncase \"$*\" in --version) exec \"$REAL\" --version;; esac\n\(script)\n"
        )
    }

    /// Command lines of running processes that name this site's folder, other than servers of the test's own.
    func processes() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid in
            guard Int(pid) != nil, let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
                return nil
            }
            let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            // gpg's agents serve the keyrings beyond a command.
            return text.contains(site.folder.path) && !text.contains("gpg-agent") ? text : nil
        }
    }

    /// Running programs that salvor started for this site, known by what they inherited, and salvor itself, with the bytes
    /// they have written.
    func programs() throws -> [(line: String, written: Int)] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid in
            let files = FileManager.default
            guard Int(pid) != nil, let variables = files.contents(atPath: "/proc/\(pid)/environ"),
                String(decoding: variables, as: UTF8.self).contains("SALVOR_CONFIG=\(site.folder.path)/"),
                let line = files.contents(atPath: "/proc/\(pid)/cmdline"), !line.isEmpty
            else { return nil }
            let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            // gpg's agents serve the keyrings beyond a command; a scratch server holds a staged copy.
            if text.contains("gpg-agent") || text.contains("redis-server") { return nil }
            let counts = String(decoding: files.contents(atPath: "/proc/\(pid)/io") ?? Data(), as: UTF8.self)
            let written = counts.split(separator: "\n").first { $0.hasPrefix("wchar: ") }?.dropFirst(7)
            return (text, written.flatMap { Int($0) } ?? 0)
        }
    }

    func sessions() async throws -> String {
        try await postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'salvor'")
    }

    /// Waits until the server has noticed that its clients are gone.
    func waitForSessions() async throws {
        while try await sessions() != "0" { try await Task.sleep(for: .milliseconds(20)) }
    }
}
