// SPDX-License-Identifier: Apache-2.0
import Domain

/// A `cassandra` source's settings, read strictly.
struct CassandraSettings: Sendable {
    /// One node of the plan.
    struct Node: Sendable, Equatable {
        /// A safe name, unique in the source: part of stream and folder names.
        var name: String
        /// How its programs and files are reached; nil: as the source.
        var transport: ConfigNode?
        /// The address that its tools connect to; nil: their own default, the host they run on.
        var host: String?
        var jmxPort: Int?
        var cqlPort: Int?
        /// cassandra.yaml beside the node; nil with data directories given.
        var yaml: String?
        /// Empty: as cassandra.yaml says.
        var dataDirectories: [String]
        /// Files and folders that are copied as configuration.
        var configuration: [String]

        static func == (left: Node, right: Node) -> Bool { left.name == right.name }
    }

    /// What one source stands for.
    enum Scope: String, Sendable, Codable, CaseIterable {
        /// All nodes of the ring, in one bundle.
        case cluster
        /// One node; its ring has a source on each.
        case node
    }

    /// How a restored copy is looked at before it goes live.
    enum Staging: String, Sendable, CaseIterable {
        /// Loaded into a keyspace beside the live one.
        case keyspace
        /// Laid down and checked as files only: half the space.
        case files
    }

    var product = CassandraRelease.Product.cassandra
    var scope = Scope.cluster
    /// The ring's name, the same in the plans of all its nodes.
    var group: String?
    var nodes: [Node]
    /// Empty: all of them, the server's own included.
    var keyspaces: [String] = []
    /// `keyspace.table` texts, `*` for any, whose rows are counted.
    var countedTables: [String] = []
    var jmxUser: String?
    /// A file beside the node with lines `user password`.
    var jmxPasswordFile: String?
    var jmxTLS = false
    /// A file beside the node with cqlsh's settings and user.
    var cqlshrc: String?
    /// A file beside the node with the user alone (cqlsh of 4.1 and later).
    var cqlCredentials: String?
    var cqlTLS = false
    /// Seconds for one statement.
    var requestTimeout = 60
    var nodetool = ["nodetool"]
    var cqlsh = ["cqlsh"]
    var sstableloader = ["sstableloader"]
    /// Where restored files are laid down beside a node; nil: `salvor_restore` beside its first data directory.
    var restoreDirectory: String?
    var staging = Staging.keyspace
    /// Addresses that `sstableloader` begins with; empty: those of the plan's nodes.
    var loaderHosts: [String] = []

    static let keys = [
        "product", "scope", "group", "nodes", "keyspaces", "count-rows", "connection", "commands", "cassandra-yaml",
        "data-directories", "configuration", "restore",
    ]
    static let defaultYAML = "/etc/cassandra/cassandra.yaml"

    init(_ node: ConfigNode, source: String) throws {
        try self.init(ConfigReader(node, path: "", allowed: Self.keys), source: source)
    }

    /// Reads the keys of a Cassandra source from a mapping that may have more.
    init(_ reader: ConfigReader, source: String) throws {
        nodes = []
        if let text = try reader.choice("product", of: CassandraRelease.Product.allCases.map(\.rawValue)) {
            product = CassandraRelease.Product(rawValue: text) ?? product
        }
        if let text = try reader.choice("scope", of: Scope.allCases.map(\.rawValue)) {
            scope = Scope(rawValue: text) ?? scope
        }
        group = try reader.string("group")
        if let group, !SafeName.isValid(group) { throw reader.failure("group", "must be a plain name, not '\(group)'") }
        if scope == .node, group == nil {
            throw reader.failure(
                "group", "is required with 'scope: node'", hint: "Give all nodes of one ring the same name.")
        }
        keyspaces = try reader.strings("keyspaces") ?? []
        if keyspaces == ["all"] { keyspaces = [] }
        countedTables = try reader.strings("count-rows") ?? []
        for text in countedTables where text.split(separator: ".").count != 2 {
            throw reader.failure("count-rows", "must hold texts like 'keyspace.table', not '\(text)'")
        }
        try readConnection(reader)
        if let commands = try reader.mapping("commands", allowed: ["nodetool", "cqlsh", "sstableloader"]) {
            nodetool = try Self.command(commands, "nodetool") ?? nodetool
            cqlsh = try Self.command(commands, "cqlsh") ?? cqlsh
            sstableloader = try Self.command(commands, "sstableloader") ?? sstableloader
        }
        try readRestore(reader)
        try readNodes(reader)
    }

    private mutating func readConnection(_ reader: ConfigReader) throws {
        guard let connection = try reader.mapping("connection", allowed: ["jmx", "cql"]) else { return }
        if let jmx = try connection.mapping("jmx", allowed: ["user", "password-file", "tls"]) {
            jmxUser = try jmx.string("user")
            jmxPasswordFile = try Self.path(jmx, "password-file")
            jmxTLS = try jmx.bool("tls") ?? false
            if (jmxUser == nil) != (jmxPasswordFile == nil) {
                throw jmx.failure("user", "goes with 'password-file'")
            }
        }
        if let cql = try connection.mapping("cql", allowed: ["cqlshrc", "credentials", "tls", "request-timeout"]) {
            cqlshrc = try Self.path(cql, "cqlshrc")
            cqlCredentials = try Self.path(cql, "credentials")
            cqlTLS = try cql.bool("tls") ?? false
            requestTimeout = try cql.integer("request-timeout", in: 1...86_400) ?? requestTimeout
        }
    }

    private mutating func readRestore(_ reader: ConfigReader) throws {
        guard let restore = try reader.mapping("restore", allowed: ["directory", "stage", "loader-hosts"]) else {
            return
        }
        restoreDirectory = try Self.path(restore, "directory")
        if let text = try restore.choice("stage", of: Staging.allCases.map(\.rawValue)) {
            staging = Staging(rawValue: text) ?? staging
        }
        loaderHosts = try restore.strings("loader-hosts") ?? []
    }

    private mutating func readNodes(_ reader: ConfigReader) throws {
        let yaml = try Self.path(reader, "cassandra-yaml")
        let directories = try Self.paths(reader, "data-directories") ?? []
        let configuration = try Self.paths(reader, "configuration")
        let keys = [
            "name", "transport", "host", "jmx-port", "cql-port", "cassandra-yaml", "data-directories", "configuration",
        ]
        for (index, node) in (try reader.sequence("nodes") ?? []).enumerated() {
            let own = try ConfigReader(node, path: "nodes[\(index)]", allowed: keys)
            let name = try own.requiredString("name")
            guard SafeName.isValid(name), name.utf8.count <= 60, !nodes.contains(where: { $0.name == name }) else {
                throw own.failure("name", "must be a plain name that no other node has, not '\(name)'")
            }
            let file = try Self.path(own, "cassandra-yaml") ?? yaml
            let data = try Self.paths(own, "data-directories") ?? directories
            nodes.append(
                Node(
                    name: name, transport: own.node("transport"), host: try own.string("host"),
                    jmxPort: try own.integer("jmx-port", in: 1...65_535),
                    cqlPort: try own.integer("cql-port", in: 1...65_535),
                    yaml: file ?? (data.isEmpty ? Self.defaultYAML : nil), dataDirectories: data,
                    configuration: try Self.paths(own, "configuration") ?? configuration
                        ?? [file ?? Self.defaultYAML].filter { _ in file != nil || data.isEmpty }))
        }
        if nodes.isEmpty {
            nodes = [
                Node(
                    name: "node", yaml: yaml ?? (directories.isEmpty ? Self.defaultYAML : nil),
                    dataDirectories: directories,
                    configuration: configuration
                        ?? [yaml ?? Self.defaultYAML].filter { _ in yaml != nil || directories.isEmpty })
            ]
        }
        if scope == .node, nodes.count > 1 {
            throw reader.failure("nodes", "must be one with 'scope: node'")
        }
    }

    /// A program with its first arguments, as a list; a single text is one word.
    private static func command(_ reader: ConfigReader, _ key: String) throws -> [String]? {
        guard let words = try reader.strings(key) else { return nil }
        guard let program = words.first, !program.isEmpty else { throw reader.failure(key, "must name a program") }
        return words
    }

    private static func path(_ reader: ConfigReader, _ key: String) throws -> String? {
        guard let text = try reader.string(key) else { return nil }
        guard let path = plain(text) else { throw reader.failure(key, "must be an absolute path, not '\(text)'") }
        return path
    }

    private static func paths(_ reader: ConfigReader, _ key: String) throws -> [String]? {
        try reader.strings(key)?.map { text in
            guard let path = plain(text) else { throw reader.failure(key, "must hold absolute paths, not '\(text)'") }
            return path
        }
    }

    /// An absolute path without `.`, `..` and doubled slashes; nil for anything else.
    static func plain(_ text: String) -> String? {
        let parts = text.split(separator: "/")
        guard text.hasPrefix("/"), !parts.isEmpty, !parts.contains(where: { $0 == "." || $0 == ".." }),
            !text.contains(where: \.isNewline)
        else { return nil }
        return "/" + parts.joined(separator: "/")
    }
}

extension CassandraSettings.Node {
    init(name: String, yaml: String?, dataDirectories: [String], configuration: [String]) {
        self.init(
            name: name, transport: nil, host: nil, jmxPort: nil, cqlPort: nil, yaml: yaml,
            dataDirectories: dataDirectories, configuration: configuration)
    }
}
