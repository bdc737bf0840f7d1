// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import TestSupport
import Testing
import Transports

@testable import Discovery

/// What is found on a host, and what is proposed for it.
@Suite("Discovery")
struct DiscoveryTests {
    @Test("real servers of this host are found by their sockets: PostgreSQL by the Unix one, Redis by its port")
    func realServers() async throws {
        let (postgres, redis) = (try await ThrowawayPostgreSQL.start(), try ThrowawayRedis(password: "secret-7c1"))
        // A busy host: its tables of sockets have many pages.
        let crowd = (0..<200).map { _ in socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) }
        defer { for descriptor in crowd { close(descriptor) } }
        let outcome = try await Discovery(transport: NoPrograms()).run()
        #expect(
            outcome.findings.contains {
                $0.adapter == "postgresql" && $0.place == .host(host: postgres.folder, port: postgres.port)
            }, "\(outcome)")
        #expect(
            outcome.findings.contains {
                $0.adapter == "redis" && $0.place == .host(host: "127.0.0.1", port: redis.port) && !$0.isGuess
            }, "\(outcome)")
        #expect(!"\(outcome)".contains("secret-7c1"))
        try await postgres.stop()
    }

    /// `/proc` as the kernel writes it, with the sockets and processes of a host of our own.
    private func processes(
        _ tcp: [String], tcp6: [String] = [], unix: [String] = [], owners: [String: (pid: Int, name: String)]
    ) throws -> TemporaryDirectory {
        let root = try TemporaryDirectory("proc")
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        try root.write("net/tcp", head + tcp.joined(separator: "\n") + "\n")
        try root.write("net/tcp6", head + tcp6.joined(separator: "\n") + "\n")
        try root.write(
            "net/unix",
            "Num       RefCount Protocol Flags    Type St Inode Path\n" + unix.joined(separator: "\n") + "\n")
        for (inode, owner) in owners {
            try root.write("\(owner.pid)/comm", owner.name + "\n")
            try FileManager.default.createDirectory(atPath: root("\(owner.pid)/fd"), withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: root("\(owner.pid)/fd/\(inode)"), withDestinationPath: "socket:[\(inode)]")
        }
        return root
    }

    private func line(_ address: String, _ inode: Int, state: String = "0A") -> String {
        "   0: \(address) 00000000:0000 \(state) 00000000:00000000 00:00000000 00000000   999        0 \(inode) 1 0 100"
    }

    @Test("addresses, processes, guesses: what listens is told apart from what is connected, and a proxy from a server")
    func sockets() throws {
        let root = try processes(
            [
                line("0100007F:0CEA", 11),  // 127.0.0.1:3306
                line("00000000:1F90", 12),  // a web server
                line("0200A8C0:18EB", 13),  // 192.168.0.2:6379, of a process nobody may look at
                line("0100007F:1538", 14, state: "01"),  // connected to, not listening
                line("00000000:1D89", 15),  // docker-proxy at 7561
                line("00000000:2352", 16),  // java at 9042
                line("0100007F:094C", 17),  // etcd's port for peers
            ],
            tcp6: [
                line("00000000000000000000000001000000:1E14", 18), line("00000000000000000000000000000000:0CEA", 11),
            ],
            unix: [
                "0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/postgresql/.s.PGSQL.5433",
                "0000000000000000: 00000002 00000000 00010000 0001 01 22 /run/redis/redis-server.sock",
                "0000000000000000: 00000002 00000000 00010000 0001 01 23 @abstract",
            ],
            owners: [
                "11": (101, "mariadbd"), "12": (102, "nginx"), "15": (105, "docker-proxy"), "16": (106, "java"),
                "17": (107, "etcd"), "18": (108, "meilisearch"),
            ])
        let found = ListeningSockets(root: root.path).findings()
        let told = found.map { "\($0.adapter) \($0.place)\($0.isGuess ? " ?" : "")" }
        #expect(
            told == [
                "mariadb host(host: \"127.0.0.1\", port: 3306)",
                "redis host(host: \"/run/redis/redis-server.sock\", port: 0)",
                "cassandra host(host: \"127.0.0.1\", port: 9042) ?", "meilisearch host(host: \"::1\", port: 7700)",
                "postgresql host(host: \"/run/postgresql\", port: 5433)",
            ], "\(told)")
        #expect(ListeningSockets(root: "/no/such/folder").findings().isEmpty)
    }

    @Test("containers and pods by their images, compose services by their labels; no environment is read")
    func containers() async throws {
        let folder = try TemporaryDirectory("clients")
        try folder.write(
            "docker.out",
            """
            {"Names":"shop-db-1","Image":"registry.example.com/library/postgres:15@sha256:0a","Labels":"com.docker.compose.project=shop,com.docker.compose.service=db,x","Env":"SECRET"}
            {"Names":"cache","Image":"localhost:5000/redis:7-alpine","Labels":""}
            {"Names":"web","Image":"nginx","Labels":""}
            """)
        try folder.write(
            "podman.out", #"[{"Names":["vectors"],"Image":"registry.example.com/qdrant/qdrant:v1.19","Labels":null}]"#)
        try folder.write(
            "kubectl.out",
            """
            {"items": [
              {"metadata": {"name": "pg-0", "namespace": "stack", "ownerReferences": [{"kind": "StatefulSet"}]},
               "spec": {"containers": [{"name": "postgres", "image": "postgres:16", "env": [{"name": "P", "value": "hidden"}]},
                                       {"name": "exporter", "image": "pg-exporter"}]}, "status": {"phase": "Running"}},
              {"metadata": {"name": "search-6d-x", "namespace": "stack", "labels": {"app": "search"},
                "ownerReferences": [{"kind": "ReplicaSet"}]},
               "spec": {"containers": [{"name": "m", "image": "getmeili/meilisearch:v1.50"}]}, "status": {"phase": "Running"}},
              {"metadata": {"name": "old", "namespace": "stack"},
               "spec": {"containers": [{"name": "r", "image": "redis"}]}, "status": {"phase": "Succeeded"}}]}
            """)
        let outcome = try await Discovery(
            transport: CannedPrograms(folder: folder), processRoot: folder("none")
        ).run()
        #expect(
            outcome.findings.map { "\($0.adapter) \($0.place)" } == [
                #"postgresql compose(project: "shop", service: "db")"#, #"redis docker(name: "cache")"#,
                #"qdrant podman(name: "vectors")"#,
                #"postgresql pod(namespace: "stack", pod: Optional("pg-0"), selector: nil, container: "postgres")"#,
                #"meilisearch pod(namespace: "stack", pod: nil, selector: Optional("app=search"), container: "m")"#,
            ], "\(outcome.findings)")
        #expect(!"\(outcome)".contains("hidden") && !"\(outcome)".contains("SECRET"))
        let calls = try String(contentsOfFile: folder("calls"), encoding: .utf8)
        #expect(!calls.contains("inspect"))
        // A client that is broken or refused is told, and hides nothing of the others.
        try folder.write("docker.fails", "")
        try folder.write("podman.out", "not json")
        let second = try await Discovery(transport: CannedPrograms(folder: folder), processRoot: folder("none")).run()
        #expect(second.findings.count == 2 && second.notes.count == 2, "\(second)")
    }

    @Test("folders that are named are looked into for databases")
    func hints() async throws {
        let folder = try TemporaryDirectory("app")
        let made = try await StockProgram.run("sqlite3", [folder("search.data"), "CREATE TABLE t(a)"])
        #expect(made.status == 0)
        try folder.write("etc/app.conf", "SQLite format 3 is what it is not")
        let outcome = try await Discovery(
            transport: NoPrograms(), processRoot: folder("none"), folders: [folder.path]
        ).run()
        #expect(outcome.findings.map(\.adapter) == ["sqlite", "files"])
        #expect(outcome.findings.first?.place == .path(folder("search.data")))
    }

    @Test("the plan names variables where secrets are needed, and keeps as comments what cannot be read")
    func proposal() throws {
        let findings = [
            Finding(adapter: "postgresql", place: .host(host: "/run/postgresql", port: 5432), evidence: "socket"),
            Finding(adapter: "postgresql", place: .docker(name: "shop db"), evidence: "image postgres\n# x: y"),
            Finding(adapter: "redis", place: .host(host: "127.0.0.1", port: 6379), evidence: "process"),
            Finding(adapter: "qdrant", place: .host(host: "::1", port: 6333), evidence: "port", isGuess: true),
            Finding(adapter: "files", place: .path("/srv/it's \"app\""), evidence: "named"),
        ]
        let plan = ProposedPlan(name: "nightly", findings: findings)
        #expect(plan.sources.map(\.name) == ["postgresql", "shop-db", "redis", "qdrant", "it-s--app-"])
        let text = plan.text { $0.lines.contains { $0.contains("qdrant") } ? "knows no 'qdrant'" : nil }
        #expect(
            text.contains("  # this salvor cannot: knows no 'qdrant'\n  #  - name: qdrant")
                || text.contains("  #- name: qdrant"), "\(text)")
        #expect(text.contains("connection: {host: /run/postgresql, port: 5432, user: salvor}"))
        #expect(text.contains("transport: {docker: \"shop db\"}") && text.contains("password: env:SHOP_DB_PASSWORD"))
        #expect(text.contains("# image postgres# x: y"), "evidence is one line")
        #expect(text.contains("# consistency: together"))
        #expect(ProposedPlan(name: "x", findings: []).text { _ in nil }.contains("paths: [/etc]"))
    }
}

private struct NoPrograms: Transport {
    var description: String { "none" }
    var reachesLocalFiles: Bool { true }
    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) { throw Failure(.programMissing, "none here") }
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        throw Failure(.sourceUnreachable, "none here")
    }
}

/// Programs that print a file of their name.
private struct CannedPrograms: Transport {
    let folder: TemporaryDirectory
    var description: String { "canned" }
    var reachesLocalFiles: Bool { true }
    func run<Result: Sendable>(
        _ program: Program, _ body: @escaping @Sendable (any ProgramPipes) async throws -> Result
    ) async throws -> (Result, ProgramExit) {
        let script = """
            echo "$0 $*" >>\(folder("calls")); [ -e \(folder(program.name)).fails ] && { echo denied >&2; exit 1; }
            cat \(folder(program.name)).out
            """
        return try await LocalTransport().run(Program("sh", ["-c", script, program.name] + program.arguments), body)
    }
    func connect(host: String, port: Int, timeoutSeconds: Int) async throws -> Int32 {
        throw Failure(.sourceUnreachable, "none here")
    }
}
