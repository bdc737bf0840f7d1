// SPDX-License-Identifier: Apache-2.0
import Domain

/// The ring and its schema at one moment, as seen by each of the plan's nodes.
struct RingState: Sendable {
    var cluster: String
    var partitioner: String
    /// The version that every node has.
    var schemaVersion: String
    var release: CassandraRelease
    var nodes: [CassandraRecord.Node]
    var peers: [CassandraRecord.Peer]
    /// Data directories by node.
    var dataDirectories: [String: [String]]

    /// The nodes of the ring that the source does not name.
    var missing: [CassandraRecord.Peer] { peers }
}

/// Reads a ring.
struct RingReader: Sendable {
    let settings: CassandraSettings
    let nodes: [CassandraNode]

    /// The ring, if it is fit to be captured or restored to: all nodes up and normal, one schema version.
    ///
    /// - Throws: `Failure` that names the node and what is wrong with it.
    func read() async throws -> RingState {
        var locals: [(CassandraNode, JSONValue, [String])] = []
        for node in nodes {
            let directories = try await dataDirectories(of: node)
            let local = try await node.rows(
                """
                SELECT JSON cluster_name, data_center, rack, host_id, release_version, partitioner, tokens \
                FROM system.local;
                """)
            guard let row = local.first else {
                throw Failure(.sourceFailed, "node '\(node.name)' does not know itself (system.local is empty)")
            }
            locals.append((node, row, directories))
        }
        let recorded = try locals.map { node, row, _ in
            try Self.record(row, name: node.name)
        }
        try requireOneCluster(locals.map { ($0.0.name, $0.1["cluster_name"]?.string ?? "") })
        if let twice = recorded.first(where: { one in recorded.count { $0.hostID == one.hostID } > 1 }) {
            throw Failure(
                .sourceFailed, "two nodes of the plan are one: host id \(twice.hostID)",
                hint: "Correct 'host', the ports or the transports of the nodes.")
        }
        let releases = Set(recorded.map(\.release))
        guard releases.count == 1, let release = CassandraRelease(recorded[0].release, product: settings.product) else {
            throw Failure(
                .versionRefused, "the nodes run different releases: \(releases.sorted().joined(separator: ", "))",
                hint: "Finish the upgrade first: while it goes on, a ring takes no schema changes and no streams.")
        }
        let peers = try await peers(of: nodes[0], named: Set(recorded.map(\.hostID)))
        try await requireAllUp()
        let version = try await schemaVersion()
        return RingState(
            cluster: locals[0].1["cluster_name"]?.string ?? "", partitioner: locals[0].1["partitioner"]?.string ?? "",
            schemaVersion: version, release: release, nodes: recorded, peers: peers,
            dataDirectories: Dictionary(uniqueKeysWithValues: locals.map { ($0.0.name, $0.2) }))
    }

    /// The one schema version, asked of every node: a node that was cut off agrees with itself.
    func schemaVersion() async throws -> String {
        var versions: [String: [String]] = [:]
        for node in nodes {
            let description = try ToolOutput.clusterDescription(await node.nodetool(["describecluster"]))
            guard let version = description.agreed else {
                let shown = description.schemaVersions.sorted { $0.key < $1.key }
                    .map { "\($0.key): \($0.value.joined(separator: " "))" }
                throw Failure(
                    .sourceFailed,
                    "node '\(node.name)' sees no agreement on the schema: \(shown.joined(separator: "; "))",
                    hint: "Wait for schema agreement ('nodetool describecluster'), or mend the node that differs.")
            }
            versions[version, default: []].append(node.name)
        }
        guard versions.count == 1, let version = versions.keys.first else {
            throw Failure(
                .sourceFailed,
                "the nodes have different schemas: "
                    + versions.map { "\($0.value.joined(separator: " ")) \($0.key)" }.sorted().joined(separator: "; "),
                hint: "Wait for schema agreement ('nodetool describecluster').")
        }
        return version
    }

    /// Every node of the ring is up and normal, as each node sees it.
    func requireAllUp() async throws {
        for node in nodes {
            let states = try ToolOutput.status(await node.nodetool(["status"]))
            if let other = states.first(where: { $0.state != "UN" }) {
                let what = other.state.hasPrefix("D") ? "down" : "leaving, joining or moving"
                throw Failure(
                    .sourceUnreachable, "node '\(node.name)' sees \(other.address) as \(what) (\(other.state))",
                    hint:
                        "Bring the whole ring to 'UN' in 'nodetool status' first: without a node the copy is not whole."
                )
            }
        }
    }

    /// Where the node's data lies.
    func dataDirectories(of node: CassandraNode) async throws -> [String] {
        if !node.node.dataDirectories.isEmpty { return node.node.dataDirectories }
        let path = node.node.yaml ?? CassandraSettings.defaultYAML
        let text = String(decoding: try await node.files.read(path), as: UTF8.self)
        return try NodeConfiguration(text).dataDirectories()
    }

    private func requireOneCluster(_ names: [(String, String)]) throws {
        guard let odd = names.first(where: { $0.1 != names[0].1 }) else { return }
        throw Failure(
            .sourceFailed, "node '\(odd.0)' belongs to cluster '\(odd.1)', node '\(names[0].0)' to '\(names[0].1)'",
            hint: "List only nodes of one cluster.")
    }

    private func peers(of node: CassandraNode, named: Set<String>) async throws -> [CassandraRecord.Peer] {
        try await node.rows("SELECT JSON peer, data_center, rack, host_id, tokens FROM system.peers;").compactMap {
            guard let host = $0["host_id"]?.string, let address = $0["peer"]?.string else {
                throw Failure(
                    .sourceFailed, "node '\(node.name)' has an incomplete row in system.peers",
                    hint:
                        "A removed node's rest may be left there: see 'nodetool gossipinfo' and 'nodetool assassinate'."
                )
            }
            guard !named.contains(host) else { return nil }
            return CassandraRecord.Peer(
                address: address, hostID: host, dataCenter: $0["data_center"]?.string ?? "",
                rack: $0["rack"]?.string ?? "", tokens: Self.tokens($0))
        }
    }

    private static func record(_ row: JSONValue, name: String) throws -> CassandraRecord.Node {
        guard let host = row["host_id"]?.string, let release = row["release_version"]?.string else {
            throw Failure(.sourceFailed, "node '\(name)' tells neither its host id nor its release")
        }
        return CassandraRecord.Node(
            name: name, stream: "node-\(name)", hostID: host, dataCenter: row["data_center"]?.string ?? "",
            rack: row["rack"]?.string ?? "", release: release, tokens: tokens(row))
    }

    private static func tokens(_ row: JSONValue) -> [String] {
        (row["tokens"]?.array ?? []).compactMap(\.string).sorted()
    }
}
