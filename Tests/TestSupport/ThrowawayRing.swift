// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A stand-in for a Cassandra ring on this host: real data directories and files with real checksums, and strict stand-ins
/// for `nodetool`, `cqlsh` and `sstableloader` (`cassandra-double/`), which misbehave on demand.
public final class ThrowawayRing: Sendable {
    /// What a ring is made with.
    public struct Options: Sendable {
        public var nodes = 1
        /// What `nodetool version` says.
        public var release = "4.1.3"
        /// Version and format of new SSTables, as in their names.
        public var layout = ["nb", "big"]
        public var cluster = "Test Cluster"
        /// Replicas of each row.
        public var replicas = 1
        /// Added to each node's tokens: rings of the same number have the same ones.
        public var tokenShift = 0
        /// Data directories of each node.
        public var dataDirectories = 2
        /// Whether there is a keyspace `app` with tables `users` and `events`.
        public var hasApplication = true

        public init() {}
    }

    /// Its folder.
    public let root: String
    /// `node1`, `node2` …
    public let nodes: [String]
    private let lifeline: FileHandle

    public init(_ options: Options = Options()) throws {
        // Short: a socket's path has at most 107 bytes (unix(7)).
        let root = "/tmp/salvor-ring-\(UUID().uuidString.prefix(8))"
        self.root = root
        nodes = (1...options.nodes).map { "node\($0)" }
        var states: [String: Any] = [:]
        for (index, name) in nodes.enumerated() {
            let data = (1...options.dataDirectories).map { "\(root)/\(name)/data\($0)" }
            for path in data + ["\(root)/\(name)/conf"] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
            let lines = data.map { "    - \($0)" }.joined(separator: "\n")
            let yaml =
                "# of \(name)\ncluster_name: '\(options.cluster)'\ndata_file_directories:\n\(lines)\nseed_provider:\n"
                + "    - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n      parameters:\n"
                + "          - seeds: \"127.0.0.1\"\n"
            for (file, text) in [("cassandra.yaml", yaml), ("cassandra-rackdc.properties", "dc=dc1\nrack=rack1\n")] {
                try text.write(toFile: "\(root)/\(name)/conf/\(file)", atomically: false, encoding: .utf8)
            }
            let place = UInt64.max / UInt64(options.nodes) &* UInt64(index) &+ UInt64(options.tokenShift * 1_000_003)
            states[name] = [
                "jmx": 7200 + index, "cql": 9100 + index, "address": "127.0.0.\(index + 1)", "up": true,
                "host_id": "6d194555-f6eb-41d0-c000-\(String(format: "%012d", index + 1 + options.tokenShift * 100))",
                "dc": "dc1", "rack": "rack1", "release": options.release, "data": data,
                "tokens": [String(Int64.min &+ 1 &+ Int64(bitPattern: place))],
            ]
        }
        let state: [String: Any] = [
            "cluster": options.cluster, "nodes": states, "faults": [String: Any](), "live": [String: Any](),
            "memtables": [String: Any](), "generations": [String: Any](), "no-compaction": [String](),
            "layout": options.layout,
            "keyspaces": Dictionary(
                uniqueKeysWithValues: ["system", "system_schema", "system_auth"].map {
                    ($0, ["rf": 1, "tables": [String: Any](), "views": [String: Any](), "types": [String: Any]()])
                }),
        ]
        try JSONSerialization.data(withJSONObject: state).write(to: URL(fileURLWithPath: "\(root)/state.json"))
        for tool in ["nodetool", "cqlsh", "sstableloader"] {
            let path = "\(root)/\(tool)"
            try "#!/bin/sh\nexec perl '\(Self.program("call.pl"))' '\(root)' \(tool) \"$@\"\n".write(
                toFile: path, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        (_, lifeline) = try TestTool.launch(
            "/usr/bin/python3", ["-E", Self.program("serve.py"), root], log: "\(root)/log", removing: root)
        try cql(
            "CREATE TABLE system.local (key text PRIMARY KEY, cluster_name text); "
                + "CREATE TABLE system_schema.tables (keyspace_name text PRIMARY KEY, id text); "
                + "CREATE TABLE system_auth.roles (role text PRIMARY KEY, id text);")
        if options.hasApplication {
            try cql(
                """
                CREATE KEYSPACE app WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '\(options.replicas)'}; \
                CREATE TABLE app.users (id text PRIMARY KEY, name text); \
                CREATE TABLE app.events (id text PRIMARY KEY, name text);
                """)
        }
    }

    deinit {
        // Closing a pipe loses nothing, and ends the stand-in.
        try? lifeline.close()
    }

    /// A part of the stand-in.
    private static func program(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("cassandra-double/\(name)")
            .path
    }

    /// A tool of the ring.
    public func tool(_ name: String) -> String { "\(root)/\(name)" }

    /// A node's data directory, from 1.
    public func data(_ node: String, _ index: Int = 1) -> String { "\(root)/\(node)/data\(index)" }

    /// A node's configuration folder.
    public func configuration(_ node: String) -> String { "\(root)/\(node)/conf" }

    @discardableResult
    public func admin(_ arguments: String...) throws -> String {
        try ShortCommand.run("perl", [Self.program("call.pl"), root, "admin"] + arguments)
    }

    /// Runs statements as a client would.
    public func cql(_ statements: String) throws { try admin("cql", statements) }

    /// Writes rows with the keys from `start`.
    public func insert(_ table: String, from start: Int, count: Int) throws {
        let parts = table.split(separator: ".").map(String.init)
        try admin("insert", parts[0], parts[1], String(start), String(count))
    }

    /// Makes SSTables of what was written.
    public func flush(_ table: String) throws {
        let parts = table.split(separator: ".").map(String.init)
        try admin("flush", parts[0], parts[1])
    }

    /// Rows that a query finds.
    public func rows(_ table: String) throws -> Int {
        let parts = table.split(separator: ".").map(String.init)
        return Int(try admin("rows", parts[0], parts[1]).trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    /// Misbehaves from now on; `null` ends it.
    public func fault(_ name: String, _ json: String) throws { try admin("fault", name, json) }

    /// Changes what a node is: `{"up": false}`.
    public func change(_ node: String, _ json: String) throws { try admin("node", node, json) }

    /// Snapshots that are there: lines of node, tag, keyspace and table.
    public var tags: [String] {
        get throws { try admin("tags").split(separator: "\n").map(String.init) }
    }

    /// Every call of a tool so far.
    public var calls: [String] {
        get throws {
            try String(contentsOfFile: "\(root)/calls", encoding: .utf8).split(separator: "\n").map(String.init)
        }
    }
}
