// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Testing

@Suite(
    "The command, with sources in a real cluster", .serialized,
    .enabled(if: RealCluster.isHere, "needs a cluster, which scripts/test-kubernetes makes"))
struct RealClusterTests {
    /// Two pods with all that is in them, and objects.
    private struct Stack {
        static let password = "redis-secret-9e21"
        let cluster: RealCluster
        let app: RealCluster.Pod
        let cache: RealCluster.Pod
        let port: Int
        let site: Site

        static func make() async throws -> Stack {
            let cluster = try await RealCluster()
            let app = try await cluster.pod("app")
            let cache = try await cluster.pod("cache", .redis, metadata: "labels: {app: cache}")
            let port = try ThrowawayRedis.freePort()
            let place = "namespace: \(cluster.namespace), kubeconfig: \(cluster.kubeconfig)"
            let site = try await Site.make(
                sources: """
                    - name: config
                      adapter: files
                      transport: {kubernetes: {\(place), pod: app}}
                      paths: [/etc/app]
                    - name: notes
                      adapter: sqlite
                      transport: {kubernetes: {\(place), pod: app}}
                      path: /srv/notes.db
                    - name: cache
                      adapter: redis
                      transport: {kubernetes: {\(place), selector: app=cache}}
                      connection: {host: 127.0.0.1, port: \(port), password: env:SITE_REDIS}
                    - name: objects
                      adapter: kubernetes
                      kubeconfig: \(cluster.kubeconfig)
                      namespaces: [\(cluster.namespace)]
                    """, environment: ["SITE_REDIS": password])
            let stack = Stack(cluster: cluster, app: app, cache: cache, port: port, site: site)
            try await stack.fill()
            return stack
        }

        private func fill() async throws {
            try await app.shell(
                """
                mkdir -p /etc/app/certs; echo 'listen 80' >/etc/app/app.conf; echo pem >/etc/app/certs/a.pem
                sqlite3 /srv/notes.db "PRAGMA journal_mode = wal; CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT);
                INSERT INTO notes(body) VALUES ('one'), ('two');"
                """)
            try await cache.shell(
                """
                printf 'port \(port)\\nbind 127.0.0.1\\ndaemonize yes\\ndir /srv\\nrequirepass \(Self.password)\\n' >/srv/conf
                redis-server /srv/conf
                """)
            try await redis("SET a 1", "HSET h f v", "SET later x EX 100000")
            try await cluster.kubectl("create", "configmap", "app", "--from-literal=LEVEL=info")
            try await cluster.kubectl("create", "secret", "generic", "db", "--from-literal=PASSWORD=pg-secret-77aa")
            try await cluster.kubectl("create", "service", "clusterip", "web", "--tcp=80")
        }

        @discardableResult
        func redis(_ commands: String...) async throws -> String {
            let lines = commands.joined(separator: "\\n")
            return try await cache.shell(
                "printf '\(lines)\\n' | REDISCLI_AUTH=\(Self.password) redis-cli -p \(port)")
        }

        func destroy() async throws {
            try await app.shell("rm -r /etc/app/certs; echo broken >/etc/app/app.conf")
            try await app.shell("sqlite3 /srv/notes.db 'DELETE FROM notes'")
            try await redis("FLUSHALL", "SET wrong 1")
            try await cluster.kubectl("delete", "configmap", "app")
            try await cluster.kubectl("delete", "service", "web")
            try await cluster.kubectl("patch", "secret", "db", "--patch", "stringData: {PASSWORD: wrong}")
        }

        /// Everything that the sources are about, by other means than theirs.
        func state() async throws -> [String] {
            [
                try await app.shell("cd /etc/app; find . -printf '%p %m\\n' | sort; find . -type f | sort | xargs cat"),
                try await app.shell("sqlite3 /srv/notes.db .dump"),
                try await redis("DBSIZE", "GET a", "HGET h f", "EXISTS later", "EXISTS wrong"),
                try await cluster.kubectl(
                    "get", "configmaps", "app", "--ignore-not-found", "--output", "jsonpath={.data}"),
                try await cluster.kubectl("get", "secrets", "db", "--output", "jsonpath={.data}"),
                try await cluster.kubectl(
                    "get", "services", "web", "--ignore-not-found", "--output", "jsonpath={.spec.ports}"),
            ]
        }
    }

    @Test(
        "backs up files, SQLite, Redis and objects, proves, loses all, plans, restores, rolls back and restores again")
    func whole() async throws {
        let stack = try await Stack.make()
        let site = stack.site
        let before = try await stack.state()
        try await site.ok(["doctor"])
        let night = try await site.ok(["backup", "--json"])
        #expect(night.contains("\"complete\""), "\(night)")
        try await site.ok(["validate-backup", "latest", "--level", "checksum"])
        try await site.ok(["validate-backup", "latest", "--level", "contents"], as: site.owner)
        let shown = try await site.ok(["show", "latest"])
        #expect(shown.contains("complete") && shown.contains("proven      contents"), "\(shown)")

        try await stack.destroy()
        let wrong = try await stack.state()
        #expect(zip(before, wrong).allSatisfy { $0 != $1 }, "\(wrong)")
        let plan = try await site.ok(["restore", "latest", "--dry-run"], as: site.owner)
        for word in ["configmap/app", "service/web", "secret/db (data.PASSWORD changed)", "/etc/app", "/srv/notes.db"] {
            #expect(plan.contains(word), "\(word): \(plan)")
        }
        #expect(try await stack.state() == wrong, "a plan changes nothing")
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try await stack.state() == before)
        let first = try #require(try await site.openRestores().first)
        try await site.ok(["restore", "--rollback", first, "--yes"], as: site.owner)
        #expect(try await stack.state() == wrong)
        try await site.ok(["restore", "latest", "--yes", "--no-safety-bundle"], as: site.owner)
        #expect(try await stack.state() == before)
        let second = try #require(try await site.openRestores().first)
        try await site.ok(["settle", second, "--yes"], as: site.owner)
        for pod in [stack.app, stack.cache] {
            #expect(try await pod.shell("find / -xdev -name '*salvor*' -not -path '/proc/*'") == "")
        }
        for secret in ["pg-secret-77aa", "cGctc2VjcmV0LTc3YWE=", Stack.password] {
            #expect(![plan, night, shown].contains { $0.contains(secret) })
            let found = try await StockProgram.run(
                "grep", ["-rlaF", secret, site.folder("state"), site.folder("repo")])
            #expect(found.status == 1, "a secret in \(found.text)")
        }
    }

    @Test("a pod that is gone makes the bundle partial, and both the run and doctor say which")
    func gone() async throws {
        let stack = try await Stack.make()
        try await stack.cluster.kubectl("delete", "pod", "cache", "--grace-period=0", "--force")
        let outcome = try await stack.site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome.output)\(outcome.errors)")
        #expect((outcome.output + outcome.errors).contains("{app=cache}"), "\(outcome.output)\(outcome.errors)")
        let doctor = try await stack.site.host.run(["doctor"])
        #expect(doctor.status == 10 && doctor.output.contains("{app=cache}"), "\(doctor.output)")
    }
}
