// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

/// A host whose sources are reached over a transport: a database, a cache, a file database, a tree and a program.
struct FarSite: Sendable {
    let site: Site
    /// Runs a shell command beside the sources.
    let beside: @Sendable (String) async throws -> String
    /// What is live, by source, told by programs beside the sources.
    let questions: [String: String]
    /// Commands that leave nothing of the sources.
    let disasters: [String]
    private let servers: [any Sendable]

    static let password = "geheim-5c10"

    /// Programs, settings and their places that are the same over every transport; `LIVE` is the folder of what lives.
    private static func common(_ transport: String, _ live: String) -> String {
        """
        - {name: search, adapter: sqlite, path: \(live)/search.db, transport: \(transport)}
        - {name: config, adapter: files, paths: [\(live)/etc], transport: \(transport)}
        - name: ledger
          adapter: command
          transport: \(transport)
          capture: {run: [sh, \(live)/capture], end: "-- end"}
          restore:
            run: [sh, -c, "cat >\(live)/ledger"]
            stage: [sh, \(live)/stage]
            promote: [sh, -c, "cd \(live); if [ -e ledger ]; then mv ledger ledger.old; fi; mv ledger.beside ledger"]
            roll-back: [sh, -c, "cd \(live); rm -f ledger; if [ -e ledger.old ]; then mv ledger.old ledger; fi"]
            abandon: [rm, -f, \(live)/ledger.beside]
            settle: [rm, -f, \(live)/ledger.old]
        """
    }

    private static func filling(_ live: String) -> String {
        """
        mkdir -p \(live)/etc/deep && cd \(live) || exit 1
        echo listen 80 >etc/app.conf; echo deep >etc/deep/b.conf; chmod 600 etc/deep/b.conf; ln -s app.conf etc/link
        sqlite3 search.db "CREATE VIRTUAL TABLE docs USING fts5(body); INSERT INTO docs VALUES ('needle one')"
        seq 1000 >ledger; echo '-- end' >>ledger
        # Waits where a file tells it to, writing nothing.
        echo 'cd \(live); if [ -e slow ]; then sleep 4127; fi; cat ledger' >capture
        echo 'cd \(live); if [ -e slow ]; then sleep 4127; fi; cat >ledger.beside' >stage
        """
    }

    private static func questions(_ live: String) -> [String: String] {
        [
            "search": "[ ! -e \(live)/search.db ] || sqlite3 \(live)/search.db .dump",
            "config": """
            cd \(live); [ ! -e etc ] || { find etc -printf '%p %y %m %U %G %T@ %l\\n'; \
            find etc -type f -exec sha256sum {} +; } | sort
            """,
            "ledger": "cat \(live)/ledger 2>/dev/null || :",
        ]
    }

    static func docker() async throws -> FarSite {
        let engine = try await ThrowawayEngine.start(.docker)
        try await engine.container("db", .postgresql)
        try await engine.container("cache", .redis)
        let (db, cache) = (engine.transport("db"), engine.transport("cache"))
        let run: @Sendable (any Transport, String) async throws -> String = { transport, command in
            String(decoding: try await transport.output(of: Program("sh", ["-c", command])), as: UTF8.self)
        }
        let binaries = try ContainerImage.postgreSQL() + "/bin"
        let nobody = engine.transport("db", user: "nobody")
        _ = try await run(
            nobody,
            """
            cd /tmp; echo \(password) >word; export LC_ALL=C
            \(binaries)/initdb -D data -U postgres -A scram-sha-256 --pwfile=word --no-locale -E UTF8 -N >init.log 2>&1 || exit 1
            echo 'local all all trust' >data/pg_hba.conf
            echo 'host all all 127.0.0.1/32 scram-sha-256' >>data/pg_hba.conf
            \(binaries)/pg_ctl -D data -w -s -l log -o '-k /tmp -c listen_addresses=127.0.0.1 -c fsync=off' start >/dev/null 2>&1
            """)
        _ = try await cache.output(
            of: Program("redis-server", ["-"]),
            input: Array(
                """
                port 7100
                bind 127.0.0.1
                daemonize yes
                dir /srv
                requirepass \(password)
                save ""
                enable-debug-command yes

                """.utf8))
        let psql = "\(binaries)/psql -X -A -t -q -v ON_ERROR_STOP=1 -h /tmp -U postgres"
        let redis = "export REDISCLI_AUTH=\(password); redis-cli -p 7100"
        let beside: @Sendable (String) async throws -> String = { command in
            // The cache has a container of its own.
            try await run(command.contains("redis-cli") ? cache : db, command)
        }
        let site = try await Site.make(
            sources: """
                - name: app-db
                  adapter: postgresql
                  transport: {docker: {container: db, user: nobody}}
                  connection: {host: 127.0.0.1, port: 5432, user: postgres, password: env:FAR_WORD}
                  databases: [shop]
                  programs: \(binaries)
                - name: cache
                  adapter: redis
                  transport: {docker: cache}
                  connection: {host: 127.0.0.1, port: 7100, password: env:FAR_WORD}
                \(common("{docker: db}", "/srv/live"))
                """,
            environment: engine.environment.merging(["FAR_WORD": password]) { $1 })
        return try await filled(
            site, beside, live: "/srv/live", psql: psql, dump: "\(binaries)/pg_dump -h /tmp -U postgres", redis: redis,
            servers: [engine])
    }

    static func ssh() async throws -> FarSite {
        let folder = try TemporaryDirectory("site")
        let server = try await ThrowawaySSH.start()
        let postgres = try await ThrowawayPostgreSQL.start()
        let redis = try ThrowawayRedis(password: password, options: ["enable-debug-command yes"])
        let transport = """
            {ssh: {host: 127.0.0.1, port: \(server.port), identity: \(server.identity), known-hosts: \(server.knownHosts)}}
            """
        let far = server.transport()
        let site = try await Site.make(
            sources: """
                - name: app-db
                  adapter: postgresql
                  transport: \(transport)
                  connection: {host: 127.0.0.1, port: \(postgres.port), user: postgres, password: env:FAR_PG}
                  databases: [shop]
                  programs: \(postgres.binaries)
                - name: cache
                  adapter: redis
                  transport: \(transport)
                  connection: {host: 127.0.0.1, port: \(redis.port), password: env:FAR_WORD}
                \(common(transport, folder("live")))
                """,
            environment: ["FAR_WORD": password, "FAR_PG": ThrowawayPostgreSQL.password], keeping: folder)
        let psql =
            "\(postgres.binaries)/psql -X -A -t -q -v ON_ERROR_STOP=1 -h \(postgres.folder) -p \(postgres.port) -U postgres"
        return try await filled(
            site,
            { String(decoding: try await far.output(of: Program("sh", ["-c", $0])), as: UTF8.self) },
            live: folder("live"), psql: psql,
            dump: "\(postgres.binaries)/pg_dump -h \(postgres.folder) -p \(postgres.port) -U postgres",
            redis: "export REDISCLI_AUTH=\(password); redis-cli -p \(redis.port)", servers: [server, postgres, redis])
    }

    private static func filled(
        _ site: Site, _ beside: @escaping @Sendable (String) async throws -> String, live: String, psql: String,
        dump: String, redis: String, servers: [any Sendable]
    ) async throws -> FarSite {
        _ = try await beside(filling(live))
        _ = try await beside("\(psql) -d postgres -c 'CREATE DATABASE shop'")
        _ = try await beside(
            "\(psql) -d shop -c 'CREATE TABLE item AS SELECT n, md5(n::text) AS x FROM generate_series(1, 5000) n'")
        _ = try await beside("\(redis) MSET a 1 b 2 >/dev/null; redis-cli --version >/dev/null")
        var questions = questions(live)
        questions["app-db"] = "\(dump) shop 2>/dev/null | grep -v '^.\\(un\\)\\?restrict' || :"
        questions["cache"] = "\(redis) DEBUG DIGEST"
        return FarSite(
            site: site, beside: beside, questions: questions,
            disasters: [
                "\(psql) -d postgres -c 'DROP DATABASE shop WITH (FORCE)'", "\(redis) FLUSHALL",
                "rm -rf \(live)/search.db \(live)/etc \(live)/ledger",
            ], servers: servers)
    }

    func facts() async throws -> [String: String] {
        var facts: [String: String] = [:]
        for (name, question) in questions { facts[name] = try await beside(question) }
        return facts
    }

    func expect(
        _ expected: [String: String], _ when: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await facts()
        for (name, text) in expected where found[name] != text {
            Issue.record(
                "\(when): \(name) differs: \(found[name]?.suffix(500) ?? "") expected: \(text.suffix(500))",
                sourceLocation: sourceLocation)
        }
    }

    /// Whether the program that waits is there: containers of this host are seen from here.
    static func isWaiting() -> Bool {
        // A process that just ended has nothing to read.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.contains { name in
            guard Int(name) != nil, let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
                return false
            }
            return String(decoding: line, as: UTF8.self) == "sleep\u{0}4127\u{0}"
        }
    }
}
