// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

extension TenSite {
    /// What is live, by source, told by the systems' own clients and other people's programs.
    func facts() async throws -> [String: String] {
        var facts: [String: String] = [:]
        for name in Self.names { facts[name] = try await fact(name) }
        return facts
    }

    private func fact(_ name: String) async throws -> String {
        switch name {
        case "app-db":
            var text = try await postgres.sql(
                "SELECT string_agg(rolname, ',' ORDER BY 1) FROM pg_roles WHERE rolname NOT LIKE 'pg_%'")
            for name in ["orders", "crm"] {
                let isThere = try await postgres.sql("SELECT count(*) FROM pg_database WHERE datname = '\(name)'")
                text += isThere == "1" ? try await postgres.dump(name) : "no \(name)"
            }
            return text
        case "cache": return try redis.cli("DEBUG", "DIGEST") + redis.cli("INFO", "keyspace")
        case "search":
            guard FileManager.default.fileExists(atPath: site.folder("live/search.db")) else { return "gone" }
            return try await sqlite(".dump") + sqlite("SELECT count(*) FROM docs WHERE docs MATCH 'needle'")
        case "config": return try await listing(["etc"])
        case "shop":
            let outcome = try await StockProgram.run(
                "mariadb-dump",
                [
                    "--no-defaults", "--socket=\(mariadb.folder)/s", "--user=root", "--skip-dump-date", "--routines",
                    "shop",
                ], environment: ["MYSQL_PWD": ThrowawayMariaDB.password, "PATH": "/usr/bin:/bin"])
            if outcome.errors.contains("Unknown database") { return "gone" }
            try #require(outcome.status == 0, "\(outcome.errors)")
            return outcome.text
        case "control-plane": return try await etcd.ctl(["get", "", "--from-key"])
        case "metrics": return try await samples()
        case "books":
            // Through an alias as through the name.
            let (status, text) = try typesense.call("GET", "/collections/books/documents/export")
            return status == 200 ? text.split(separator: "\n").sorted().joined(separator: "\n") : "gone"
        case "tls": return try await listing(["tls", "app.env"])
        case "app-logs": return try await listing(["log"])
        case "ledger":
            // Not there is an answer, too.
            return (try? String(contentsOfFile: site.folder("live/ledger"), encoding: .utf8)) ?? "gone"
        case "vectors":
            let collection = qdrant.collections[qdrant.aliases["docs"] ?? "docs"]
            return try collection.map { try Self.text(.array($0.points.sorted { $0.key < $1.key }.map(\.value))) }
                ?? "gone"
        case "movies": return try meilisearch.indexes["movies"].map { try Self.text(.array($0.documents)) } ?? "gone"
        case "graph":
            return try arango.databases["app"].map { try Self.text(.object($0.mapValues { .array($0) })) } ?? "gone"
        default: throw ShortCommand.Failed(description: "no facts of \(name)")
        }
    }

    private static func text(_ value: JSONValue) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Names, kinds, modes, owners, times, targets and digests.
    private func listing(_ names: [String]) async throws -> String {
        let script = """
            for name; do
                if [ -e "$name" ]; then
                    find "$name" -type d -printf '%p %y %m %U %G %T@\\n' -o -printf '%p %y %m %U %G %T@ %s %l\\n'
                    find "$name" -type f -exec sha256sum {} +
                else echo "no $name"; fi
            done | LC_ALL=C sort
            """
        let outcome = try await StockProgram.run("sh", ["-c", script, "sh"] + names, directory: site.folder("live"))
        try #require(outcome.status == 0, "\(outcome.errors)")
        return outcome.text
    }

    /// Samples of the time before the first backup.
    private func samples() async throws -> String {
        let deadline = ContinuousClock.now + .seconds(30)
        // A server that was just started does not answer at once.
        while ContinuousClock.now < deadline {
            if let text = try await prometheus.query("up[1h] @ \(moment)") { return text }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ShortCommand.Failed(description: "Prometheus does not answer")
    }

    /// Expects these sources to be as in `expected`, with their names when not.
    func expect(
        _ expected: [String: String], _ when: String, of names: [String] = TenSite.names,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await facts()
        for name in names where found[name] != expected[name] {
            Issue.record(
                "\(when): \(name) differs: \(found[name]?.suffix(600) ?? "") expected: \(expected[name]?.suffix(600) ?? "")",
                sourceLocation: sourceLocation)
        }
    }

    // MARK: - Disasters

    /// Nothing is left of any source.
    func destroy() async throws {
        for name in ["orders", "crm"] { try await postgres.sql("DROP DATABASE IF EXISTS \(name) WITH (FORCE)") }
        try await postgres.sql("DROP ROLE IF EXISTS clerk")
        try redis.cli("FLUSHALL")
        try await mariadb.sql("DROP DATABASE IF EXISTS shop")
        try await etcd.ctl(["del", "", "--from-key"])
        try await prometheusServer.stop()
        for name in try FileManager.default.contentsOfDirectory(atPath: prometheus.data) {
            try FileManager.default.removeItem(atPath: "\(prometheus.data)/\(name)")
        }
        try await prometheusServer.start()
        for name in ["aliases", "collections"] {
            let text = try typesense.call("GET", "/\(name)").1
            for found in text.matches(of: /"name":"(books[^"]*)"/) {
                try typesense.call("DELETE", "/\(name)/\(found.1)")
            }
        }
        for name in ["search.db", "etc", "tls", "app.env", "log", "ledger"] {
            let path = site.folder("live/\(name)")
            if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        }
        qdrant.clear()
        meilisearch.clear()
        arango.put("app", nil)
    }

    /// A day of work in every source.
    func change() async throws {
        try await postgres.sql("UPDATE lines SET x = 'new' WHERE i = 7", database: "orders")
        try redis.cli("SET", "k7", "new")
        try await sqlite("INSERT INTO docs VALUES ('needle new')")
        try site.folder.write("live/etc/new.conf", "new\n")
        try FileManager.default.removeItem(atPath: site.folder("live/etc/deep/er/b.conf"))
        try await mariadb.sql("INSERT INTO shop.items(name, price) VALUES ('new', 1)")
        try await etcd.ctl(["put", "/registry/new", "1"])
        try typesense.call("POST", "/collections/books/documents", "{\"id\":\"99\",\"title\":\"new\"}")
        try site.folder.write("live/tls/new.pem", "new\n")
        try site.folder.write("live/log/app.log", "rotated\n")
        let ledger = try String(contentsOfFile: site.folder("live/ledger"), encoding: .utf8)
        try site.folder.write("live/ledger", "entry 0\n" + ledger)
        qdrant.put(qdrant.aliases["docs"] ?? "docs", Self.points(41))
        meilisearch.put("movies", Self.documents(31))
        arango.put("app", ["people": [["_key": "1"], ["_key": "new"]], "_graphs": []])
    }
}
