// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A real one-node Cassandra in a folder of its own, started from an unpacked release: where there is one
/// (`SALVOR_TEST_CASSANDRA_HOME`).
public final class ThrowawayCassandra: Sendable {
    /// The release's folder; nil: there is none.
    public static let home = ProcessInfo.processInfo.environment["SALVOR_TEST_CASSANDRA_HOME"].flatMap {
        $0.isEmpty ? nil : $0
    }

    public let root: String
    public let jmxPort: Int
    public let cqlPort: Int
    private let home: String
    private let lifeline: FileHandle

    /// Starts it and waits until it answers.
    public init(home: String) throws {
        self.home = home
        root = FileManager.default.temporaryDirectory.path + "/salvor-cassandra-\(UUID().uuidString.prefix(8))"
        let ports = try LoopbackSocket.freePorts(3)
        (cqlPort, jmxPort) = (ports[0], ports[1])
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(home)/conf", toPath: "\(root)/conf")
        let file = "\(root)/conf/cassandra.yaml"
        let replaced = [
            "cluster_name", "data_file_directories", "commitlog_directory", "saved_caches_directory", "hints_directory",
            "cdc_raw_directory", "listen_address", "rpc_address", "native_transport_port", "storage_port",
            "ssl_storage_port", "seed_provider", "num_tokens",
        ]
        var isDropped = false
        var lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init).filter {
            line in
            if let first = line.first, first != " ", first != "-", first != "#" {
                isDropped = replaced.contains { line.hasPrefix("\($0):") }
            }
            return !isDropped
        }
        lines += [
            "cluster_name: 'Test Cluster'", "num_tokens: 4", "data_file_directories:", "    - \(root)/data1",
            "    - \(root)/data2", "commitlog_directory: \(root)/commitlog", "saved_caches_directory: \(root)/caches",
            "hints_directory: \(root)/hints", "cdc_raw_directory: \(root)/cdc", "listen_address: 127.0.0.1",
            "rpc_address: 127.0.0.1", "native_transport_port: \(cqlPort)", "storage_port: \(ports[2])",
            "seed_provider:", "    - class_name: org.apache.cassandra.locator.SimpleSeedProvider",
            "      parameters:", "          - seeds: \"127.0.0.1:\(ports[2])\"",
        ]
        try lines.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        (_, lifeline) = try TestTool.launch(
            "/usr/bin/env",
            [
                "CASSANDRA_CONF=\(root)/conf", "CASSANDRA_LOG_DIR=\(root)/log", "JMX_PORT=\(jmxPort)",
                "MAX_HEAP_SIZE=1G", "HEAP_NEWSIZE=200M", "\(home)/bin/cassandra", "-f", "-R",
            ], log: "\(root)/server.log", removing: root)
        let deadline = Date(timeIntervalSinceNow: 180)
        while true {
            do {
                try cql("SELECT key FROM system.local;")
                return
            } catch {
                guard Date() < deadline else { throw error }
                // The only thing to wait for is an answer, and asking is all one can do.
                Thread.sleep(forTimeInterval: 1)
            }
        }
    }

    deinit {
        // Closing a pipe loses nothing, and stops the server.
        try? lifeline.close()
    }

    /// A tool of the release.
    public func tool(_ name: String) -> String { "\(home)/bin/\(name)" }

    /// The node's cassandra.yaml.
    public var configuration: String { "\(root)/conf/cassandra.yaml" }

    /// What cqlsh prints.
    @discardableResult
    public func cql(_ statements: String) throws -> String {
        try ShortCommand.run(tool("cqlsh"), ["--no-color", "-e", statements, "127.0.0.1", String(cqlPort)])
    }

    /// Rows that a query finds; -1 when there is no such table.
    public func rows(_ table: String) throws -> Int {
        let text = try cql("SELECT JSON count(*) FROM \(table);")
        let digits = text.split(separator: "\n").first { $0.contains("count") && $0.contains("{") }?
            .filter(\.isNumber)
        return digits.flatMap { Int($0) } ?? -1
    }

    /// Snapshots that are there, as nodetool lists them.
    public func snapshots() throws -> String {
        try ShortCommand.run(tool("nodetool"), ["-h", "127.0.0.1", "-p", String(jmxPort), "listsnapshots"])
    }
}
