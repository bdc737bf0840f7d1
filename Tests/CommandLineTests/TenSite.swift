// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport

/// A host with one plan that has a source of nearly every kind, on real servers where there are any.
struct TenSite: Sendable {
    /// In the plan's order.
    static let names = [
        "app-db", "cache", "search", "config", "shop", "control-plane", "metrics", "books", "tls", "app-logs", "ledger",
        "vectors", "movies", "graph",
    ]
    /// Those that `--data-only` leaves out.
    static let notData = ["config", "tls", "app-logs"]
    static let redisPassword = "redis-secret-9d02"

    let site: Site
    let postgres: ThrowawayPostgreSQL
    let redis: ThrowawayRedis
    let mariadb: ThrowawayMariaDB
    let etcd: ThrowawayEtcd
    let etcdServer: SupervisedServer
    let prometheus: ThrowawayPrometheus
    let prometheusServer: SupervisedServer
    let typesense: ThrowawayTypesense
    let qdrant: QdrantDouble
    let meilisearch: MeilisearchDouble
    let arango: ArangoDouble
    /// Seconds since 1970; samples up to here are compared.
    let moment: Double

    static func make() async throws -> TenSite {
        let folder = try TemporaryDirectory("site")
        async let postgres = ThrowawayPostgreSQL.start()
        async let mariadb = ThrowawayMariaDB.start()
        async let etcd = ThrowawayEtcd()
        async let prometheus = ThrowawayPrometheus()
        async let typesense = ThrowawayTypesense.own()
        let redis = try ThrowawayRedis(password: redisPassword, options: ["enable-debug-command yes"])
        let (qdrant, meilisearch) = (try QdrantDouble(key: "q-key"), try MeilisearchDouble(key: "m-key"))
        let arango = try ArangoDouble()
        // From here on others stop and start these two.
        try await etcd.stop()
        let etcdServer = try SupervisedServer("/usr/bin/etcd", await etcd.arguments)
        try await prometheus.stop()
        let prometheusServer = try SupervisedServer("/usr/bin/prometheus", await prometheus.arguments)
        let (pg, my, kv, prom, ts) = (
            try await postgres, try await mariadb, try await etcd, try await prometheus, try await typesense
        )
        let plan =
            sources(pg, redis, my, kv, etcdServer, prom, prometheusServer, ts)
            + "\n" + doubles(qdrant, meilisearch, arango)
        let site = try await Site.make(
            sources: plan,
            environment: [
                "TEN_PG": ThrowawayPostgreSQL.password, "TEN_REDIS": redisPassword,
                "TEN_MARIADB": ThrowawayMariaDB.password, "TEN_TYPESENSE": ts.key, "TEN_QDRANT": "q-key",
                "TEN_MEILI": "m-key", "TEN_ARANGO": "s3cr@t pass",
            ], keeping: folder)
        let made = TenSite(
            site: site, postgres: pg, redis: redis, mariadb: my, etcd: kv, etcdServer: etcdServer, prometheus: prom,
            prometheusServer: prometheusServer, typesense: ts, qdrant: qdrant, meilisearch: meilisearch,
            arango: arango, moment: Date().timeIntervalSince1970)
        try await made.fill()
        return made
    }

    private static func sources(
        _ postgres: ThrowawayPostgreSQL, _ redis: ThrowawayRedis, _ mariadb: ThrowawayMariaDB, _ etcd: ThrowawayEtcd,
        _ etcdServer: SupervisedServer, _ prometheus: ThrowawayPrometheus, _ prometheusServer: SupervisedServer,
        _ typesense: ThrowawayTypesense
    ) -> String {
        """
        - name: app-db
          adapter: postgresql
          connection: {host: 127.0.0.1, port: \(postgres.port), user: postgres, password: env:TEN_PG}
          databases: [orders, crm]
          programs: \(postgres.binaries)
        - name: cache
          adapter: redis
          connection: {host: 127.0.0.1, port: \(redis.port), password: env:TEN_REDIS}
        - {name: search, adapter: sqlite, path: $DIR/live/search.db}
        - {name: config, adapter: files, paths: [$DIR/live/etc]}
        - name: shop
          adapter: mariadb
          connection: {host: 127.0.0.1, port: \(mariadb.port), user: root, password: env:TEN_MARIADB}
          databases: [shop]
        - name: control-plane
          adapter: etcd
          connection: {endpoint: "\(etcd.endpoint)"}
          temporary-directory: $DIR
          restore: {data-directory: \(etcd.data), stop: [\(etcdServer.stopProgram)], start: [\(etcdServer.startProgram)]}
        - name: metrics
          adapter: prometheus
          connection: {url: "\(prometheus.url)"}
          restore: {stop: [\(prometheusServer.stopProgram)], start: [\(prometheusServer.startProgram)]}
        - name: books
          adapter: typesense
          connection: {url: "\(typesense.url)", api-key: env:TEN_TYPESENSE}
        - {name: tls, adapter: secrets, paths: [$DIR/live/tls], environment-files: [$DIR/live/app.env]}
        - {name: app-logs, adapter: logs, paths: [$DIR/live/log]}
        - name: ledger
          adapter: command
          capture:
            run: [cat, $DIR/live/ledger]
            end: "-- end"
            count: [grep, -c, entry]
          restore:
            run: [sh, -c, "cat >$DIR/live/ledger"]
            stage: [sh, -c, "cat >$DIR/live/ledger.beside"]
            count: [grep, -c, entry, $DIR/live/ledger.beside]
            promote: [sh, -c, "cd $DIR/live; if [ -e ledger ]; then mv ledger ledger.old; fi; mv ledger.beside ledger"]
            roll-back: [sh, -c, "cd $DIR/live; rm ledger; if [ -e ledger.old ]; then mv ledger.old ledger; fi"]
            abandon: [rm, -f, $DIR/live/ledger.beside]
            settle: [rm, -f, $DIR/live/ledger.old]
        """
    }

    private static func doubles(
        _ qdrant: QdrantDouble, _ meilisearch: MeilisearchDouble, _ arango: ArangoDouble
    ) -> String {
        """
        - name: vectors
          adapter: qdrant
          connection: {url: "\(qdrant.url)", api-key: env:TEN_QDRANT}
        - name: movies
          adapter: meilisearch
          connection: {url: "\(meilisearch.url)", api-key: env:TEN_MEILI}
        - name: graph
          adapter: arangodb
          connection: {port: \(arango.port), user: root, password: env:TEN_ARANGO}
          work-directory: $DIR
          restore: {replace: true}
          programs: {arangodump: "\(arango.tool("arangodump"))", arangorestore: "\(arango.tool("arangorestore"))"}
        """
    }

    // MARK: - What is there

    private func fill() async throws {
        try await postgres.sql("CREATE ROLE clerk")
        for name in ["orders", "crm"] { try await postgres.sql("CREATE DATABASE \(name)") }
        try await postgres.sql(
            """
            CREATE TABLE lines AS SELECT i, md5(i::text) AS x FROM generate_series(1, 20000) i;
            ALTER TABLE lines OWNER TO clerk; CREATE INDEX ON lines (i);
            """, database: "orders")
        try await postgres.sql("CREATE TABLE people AS SELECT 'Ada' AS name", database: "crm")
        try redis.cli("EVAL", "for i = 1, 500 do redis.call('set', 'k' .. i, string.rep(i, 20)) end", "0")
        try redis.cli("-n", "3", "ZADD", "scores", "1", "a", "2", "b")
        try FileManager.default.createDirectory(atPath: site.folder("live"), withIntermediateDirectories: true)
        try await sqlite(
            """
            CREATE VIRTUAL TABLE docs USING fts5(body);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
            INSERT INTO docs SELECT 'needle ' || i FROM n;
            """)
        for name in ["etc/app.conf", "etc/deep/er/b.conf", "tls/key.pem", "log/app.log", "log/app.log.1"] {
            try site.folder.write("live/\(name)", String(repeating: "\(name)\n", count: 300))
        }
        try site.folder.write("live/app.env", "TOKEN=s3cr3t-of-env\n")
        let outcome = try await StockProgram.run(
            "sh", ["-c", "chmod 600 app.env tls/key.pem && ln -s app.conf etc/link && chown 1:1 etc/deep"],
            directory: site.folder("live"))
        guard outcome.status == 0 else { throw ShortCommand.Failed(description: outcome.errors) }
        try await mariadb.sql(
            """
            CREATE DATABASE shop; USE shop;
            CREATE TABLE items(id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40), price DECIMAL(9,2));
            INSERT INTO items(name, price) SELECT CONCAT('item ', seq), seq / 3 FROM seq_1_to_2000;
            CREATE VIEW cheap AS SELECT * FROM items WHERE price < 10;
            CREATE TRIGGER upper BEFORE INSERT ON items FOR EACH ROW SET NEW.name = UPPER(NEW.name);
            """)
        for index in 0..<20 { try await etcd.ctl(["put", "/registry/\(index)", "value \(index)"]) }
        try typesense.call(
            "POST", "/collections", "{\"name\":\"books\",\"fields\":[{\"name\":\"title\",\"type\":\"string\"}]}")
        for index in 1...10 {
            try typesense.call(
                "POST", "/collections/books/documents", "{\"id\":\"\(index)\",\"title\":\"book \(index)\"}")
        }
        try site.folder.write("live/ledger", (1...1000).map { "entry \($0)\n" }.joined() + "-- end\n")
        qdrant.put("docs", Self.points(40))
        meilisearch.put("movies", Self.documents(30))
        arango.put("app", ["people": [["_key": "1"], ["_key": "2"]], "_graphs": []])
    }

    static func points(_ count: Int) -> QdrantDouble.Collection {
        var points: [Int64: JSONValue] = [:]
        for id in 0..<Int64(count) {
            points[id] = ["id": .integer(id), "vector": [.number(Double(id) + 0.5), .number(1.5)], "payload": [:]]
        }
        return QdrantDouble.Collection(
            config: ["params": ["vectors": ["size": 2, "distance": "Dot"], "shard_number": 1]], points: points)
    }

    static func documents(_ count: Int) -> MeilisearchDouble.Index {
        MeilisearchDouble.Index(primaryKey: "id", documents: (0..<count).map { ["id": .integer(Int64($0))] })
    }

    @discardableResult
    func sqlite(_ text: String) async throws -> String {
        let outcome = try await StockProgram.run("sqlite3", [site.folder("live/search.db"), text])
        guard outcome.status == 0 else { throw ShortCommand.Failed(description: outcome.errors) }
        return outcome.text
    }
}
