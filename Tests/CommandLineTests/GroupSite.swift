// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

/// A site whose PostgreSQL, Redis and SQLite sources form a recovery group, with tokens that move between them.
struct GroupSite: Sendable {
    let servers: ServerSite
    var site: Site { servers.site }

    /// Tokens in all three systems together.
    static let total = 300

    /// - Parameter quiesce: the plan's `quiesce`, `$DIR` being the site's folder; nil: none.
    static func make(quiesce: String? = nil) async throws -> GroupSite {
        let servers = try await ServerSite.make()
        let site = servers.site
        let group = GroupSite(servers: servers)
        var plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        plan = plan.replacingOccurrences(
            of: "objectives:",
            with: "  - {name: search, adapter: sqlite, path: \(site.folder("search.db"))}\nobjectives:")
        plan += "\nconsistency: together\n"
        if let quiesce {
            plan += "quiesce: \(quiesce.replacingOccurrences(of: "$DIR", with: site.folder.path))\n"
        }
        try site.folder.write("plan.yaml", plan)
        try await servers.postgres.sql("CREATE TABLE tokens AS SELECT 100 AS n", database: "shop")
        try servers.redis.cli("SET", "tokens", "100")
        try await group.sqlite("PRAGMA journal_mode = WAL; CREATE TABLE tokens(n); INSERT INTO tokens VALUES (100)")
        return group
    }

    /// A program that touches a file, and one that removes it and leaves a mark.
    static let files = """
        {pause: [touch, $DIR/paused], resume: [sh, -c, "rm -f $DIR/paused; echo resumed >>$DIR/resumed"]}
        """

    @discardableResult
    func sqlite(_ text: String) async throws -> String {
        let outcome = try await StockProgram.run("sqlite3", ["-cmd", ".timeout 10000", site.folder("search.db"), text])
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The tokens of each system.
    func tokens() async throws -> [Int] {
        [
            Int(try await servers.postgres.sql("SELECT n FROM tokens", database: "shop")) ?? -1,
            Int(try servers.redis.cli("GET", "tokens")) ?? -1, Int(try await sqlite("SELECT n FROM tokens")) ?? -1,
        ]
    }

    /// Moves one token from a system to the next, as an application without transactions across systems does.
    func move(from: Int) async throws {
        try await change(from, by: -1)
        try await change((from + 1) % 3, by: 1)
    }

    private func change(_ system: Int, by number: Int) async throws {
        switch system {
        case 0: try await servers.postgres.sql("UPDATE tokens SET n = n + (\(number))", database: "shop")
        case 1: try servers.redis.cli("INCRBY", "tokens", String(number))
        default: try await sqlite("UPDATE tokens SET n = n + (\(number))")
        }
    }

    /// Moves tokens until `body` is done, resting between two moves while the file `paused` is there.
    func moving<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> (Result, moves: Int) {
        let isOver = Mutex(false)
        async let moves: Int = {
            var made = 0
            while !isOver.withLock({ $0 }) {
                if exists("paused") {
                    try site.folder.write("idle", "")
                    try await Task.sleep(for: .milliseconds(5))
                    continue
                }
                try await move(from: made % 3)
                made += 1
            }
            return made
        }()
        do {
            let result = try await body()
            isOver.withLock { $0 = true }
            return (result, try await moves)
        } catch {
            isOver.withLock { $0 = true }
            throw error
        }
    }

    /// As an application pauses: it says when it rests.
    static let restingWriter = """
        {pause: [sh, -c, "rm -f $DIR/idle; touch $DIR/paused; until [ -e $DIR/idle ]; do sleep 0.02; done"], \
        resume: [sh, -c, "rm -f $DIR/paused; echo resumed >>$DIR/resumed"]}
        """

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: site.folder(name)) }

    /// How often the application was resumed.
    func resumed() throws -> Int {
        guard exists("resumed") else { return 0 }
        return try String(contentsOfFile: site.folder("resumed"), encoding: .utf8).split(separator: "\n").count
    }

    /// The note that something is paused.
    var note: String { site.folder("state/frozen/nightly/~plan/quiesce.json") }

    /// Ids of the watchdogs of this site.
    func watchdogs() throws -> [Int32] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { name in
            guard let id = Int32(name), let line = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else {
                return nil
            }
            let text = String(decoding: line, as: UTF8.self)
            return text.contains("salvor-watchdog") && text.contains(note) ? id : nil
        }
    }

    /// Waits until `isSo`, at most 20 seconds, and expects it.
    func expectSoon(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ isSo: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await !isSo(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try await isSo(), "\(what)", sourceLocation: sourceLocation)
    }

    /// Nothing of salvor runs any more, and no server still serves it.
    func expectNothingHeld(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await expectSoon("a program is left", sourceLocation: sourceLocation) { try servers.programs().isEmpty }
        try await expectSoon("a session is left", sourceLocation: sourceLocation) {
            try await servers.sessions() == "0"
        }
        try await expectSoon("Redis still serves a copy", sourceLocation: sourceLocation) {
            let replicas = try servers.redis.cli("INFO", "replication")
            let saves = try servers.redis.cli("INFO", "persistence")
            return replicas.contains("connected_slaves:0") && saves.contains("rdb_bgsave_in_progress:0")
        }
        // A reader that is left would keep the log from being emptied: the first column tells that.
        let checkpoint = try await sqlite("PRAGMA wal_checkpoint(TRUNCATE)")
        #expect(checkpoint.hasPrefix("0|"), "a reader is left: \(checkpoint)", sourceLocation: sourceLocation)
    }

    /// What the newest bundle's manifest says of its group.
    struct Manifest: Decodable {
        struct Group: Decodable {
            var sources: [String]
            var missing: [String]
            var skewMicroseconds: Int
            var paused: ClockInterval?
        }
        struct Source: Decodable {
            var name: String
            var state: String
            var frozen: ClockInterval?
            var position: String?
        }
        var state: String
        var sources: [Source]
        var group: Group?
    }

    func manifest() async throws -> Manifest {
        struct Shown: Decodable {
            struct Result: Decodable { var manifest: Manifest }
            var result: Result
        }
        let text = try await site.ok(["show", "latest", "--json"])
        return try JSONDecoder().decode(Shown.self, from: Data(text.utf8)).result.manifest
    }
}
