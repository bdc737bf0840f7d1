// SPDX-License-Identifier: Apache-2.0
import Domain
import MariaDB
import TestSupport
import Transports

/// Adapters for a throw-away server, and what it holds.
enum MariaDBFixture {
    typealias Settings = AdapterSettings

    static func adapter(
        _ server: ThrowawayMariaDB, user: String = "root", password: String = ThrowawayMariaDB.password,
        transport: any Transport = LocalTransport(), tls: [(String, String)] = [],
        _ settings: KeyValuePairs<String, ConfigNode> = [:]
    ) throws -> any SourceAdapter {
        var reach = [
            ("host", "127.0.0.1"), ("port", String(server.port)), ("user", user), ("password", password),
        ].map { ($0.0, Settings.mark, Settings.text($0.1)) }
        if !tls.isEmpty {
            let words = tls.map { ($0.0, Settings.mark, Settings.text($0.1)) }
            reach.append(("tls", Settings.mark, .mapping(words, Settings.mark)))
        }
        let connection = ConfigNode.mapping(reach, Settings.mark)
        var pairs: [(key: String, mark: ConfigMark, value: ConfigNode)] = [("connection", Settings.mark, connection)]
        pairs += settings.map { ($0.key, Settings.mark, $0.value) }
        return try MariaDBFactory().make(
            Settings.environment("mariadb", .mapping(pairs, Settings.mark), transport: transport))
    }

    /// Two databases with everything that a dump tends to lose.
    static func fill(_ server: ThrowawayMariaDB) async throws {
        try await server.sql(
            """
            CREATE DATABASE app CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
            CREATE DATABASE `odd-näme` CHARACTER SET latin1;
            CREATE USER app@'%' IDENTIFIED BY 'app-secret'; CREATE ROLE readers;
            GRANT SELECT ON app.* TO readers; GRANT readers TO app@'%'; GRANT ALL ON app.* TO app@'%';
            USE app;
            CREATE TABLE customers(id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), note TEXT, photo LONGBLOB,
                doc JSON, born DATE, seen TIMESTAMP NULL, price DECIMAL(12,4), ratio DOUBLE,
                shout VARCHAR(100) AS (UPPER(name)) STORED, KEY(name));
            CREATE TABLE orders(id INT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, total INT,
                FOREIGN KEY (customer) REFERENCES customers(id) ON DELETE CASCADE);
            CREATE TABLE log(line TEXT) ENGINE=MyISAM;
            CREATE TABLE loose(a INT, b INT, KEY(a, b));
            CREATE TABLE parts(id INT, y INT, PRIMARY KEY(id, y)) PARTITION BY RANGE (y)
                (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
            CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 10;
            CREATE TABLE `we``ird (name);` (`co``l)` VARCHAR(50));
            CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x;
            CREATE VIEW rich AS SELECT id, name FROM customers WHERE id > 1;
            CREATE VIEW richer AS SELECT id, twice(id) AS double_id FROM rich;
            INSERT INTO customers(name, note, photo, doc, born, seen, price, ratio) VALUES
                ('Zoë 😀', 'it''s; a -- "quoted" \\\\ back`tick\\nnew (line)', 0x00ff27225c0a, '{"a": [1, "x"]}', '1999-12-31',
                    '2026-03-29 02:30:00', 12.3400, 0.1),
                (NULL, '', '', NULL, NULL, NULL, NULL, 1e300),
                ('; INSERT INTO `customers` VALUES (1);', ')', NULL, '[]', '2000-02-29', NULL, -0.0001, -1.5);
            INSERT INTO orders(customer, total) SELECT 1, seq FROM seq_1_to_500;
            INSERT INTO log SELECT CONCAT('line ', seq) FROM seq_1_to_50;
            INSERT INTO loose SELECT seq % 7, seq FROM seq_1_to_30;
            INSERT INTO parts SELECT seq, seq FROM seq_1_to_20;
            INSERT INTO `we``ird (name);` VALUES ('a'), (NULL);
            SELECT NEXT VALUE FOR numbers;
            CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM log WHERE 0;
            DELIMITER ;;
            CREATE PROCEDURE report(IN n INT) BEGIN SELECT COUNT(*) FROM orders; /* ; */ SELECT 'a;b'; END ;;
            CREATE TRIGGER counting BEFORE INSERT ON orders FOR EACH ROW BEGIN SET NEW.total = IFNULL(NEW.total, 0); END ;;
            DELIMITER ;
            USE `odd-näme`;
            CREATE TABLE alt(word VARCHAR(20)) CHARACTER SET latin1;
            INSERT INTO alt VALUES ('Grüße'), ('été');
            """)
    }

    /// All that a client sees of the databases: definitions, rows, programs.
    static func describe(_ server: ThrowawayMariaDB, _ database: String = "app") async throws -> String {
        let tables = try await server.sql(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '\(database)' ORDER BY 1"
        ).split(separator: "\n").map(String.init)
        var script = ["USE `\(database)`"]
        for table in tables {
            let name = "`" + table.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "``") + "`"
            script += ["SHOW CREATE TABLE \(name)", "CHECKSUM TABLE \(name)"]
        }
        script += [
            """
            SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT, DEFINER FROM information_schema.TRIGGERS
            WHERE TRIGGER_SCHEMA = '\(database)' ORDER BY 1
            """,
            """
            SELECT ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, DEFINER FROM information_schema.ROUTINES
            WHERE ROUTINE_SCHEMA = '\(database)' ORDER BY 1
            """,
            """
            SELECT EVENT_NAME, EVENT_DEFINITION, STARTS, STATUS FROM information_schema.EVENTS
            WHERE EVENT_SCHEMA = '\(database)' ORDER BY 1
            """,
            "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '\(database)'",
        ]
        return try await server.sql(script.joined(separator: ";\n") + ";")
    }

    /// Names of all databases that are not the server's own.
    static func databases(_ server: ThrowawayMariaDB) async throws -> [String] {
        try await server.sql("SHOW DATABASES").split(separator: "\n").map(String.init)
            .filter { !["information_schema", "mysql", "performance_schema", "sys"].contains($0) }
    }
}

/// Runs `body` with a server and stops it afterwards, whatever happens.
func withMariaDB<Result: Sendable>(
    _ options: [String] = [], _ body: @Sendable (ThrowawayMariaDB) async throws -> Result
) async throws -> Result {
    let server = try await ThrowawayMariaDB.start(options)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(server)) } catch { result = .failure(error) }
    try await server.stop()
    return try result.get()
}
