// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// The nodes of a Cassandra ring: one snapshot on all of them, their files, the schema and the topology.
struct CassandraAdapter: FreezingAdapter {
    let settings: CassandraSettings
    let environment: AdapterEnvironment
    let nodes: [CassandraNode]
    /// What JanusGraph adds; nil for plain Cassandra.
    var graph: GraphSettings?
    /// Called before every step of a capture or restore that changes something; tests break off there.
    var beforeStep: (@Sendable (String) throws -> Void)?

    init(_ settings: CassandraSettings, _ environment: AdapterEnvironment, graph: GraphSettings? = nil) throws {
        self.settings = settings
        self.environment = environment
        self.graph = graph
        nodes = try settings.nodes.map { node in
            let transport = try node.transport.map(environment.transport(ofPart:)) ?? environment.transport
            return CassandraNode(settings: settings, node: node, transport: transport)
        }
    }

    var reader: RingReader { RingReader(settings: settings, nodes: nodes) }

    /// The node that is asked what all nodes know.
    var coordinator: CassandraNode { nodes[0] }

    /// Names of streams besides those of the nodes.
    enum Stream {
        static let schema = "schema"
        static let topology = "topology"
    }

    /// What every tag of this source on this host begins with, so that its left-overs, and nobody else's, are removed.
    var tagPrefix: String {
        let source = environment.source
        let owner = "\(ProcessInfo.processInfo.hostName)\n\(source.plan)\n\(source.name)"
        return "salvor_\(SHA256Digest.of(owner.utf8).description.prefix(10))_"
    }

    func step(_ name: String) throws { try beforeStep?(name) }

    /// Does the same on all nodes side by side; the first error is thrown when all have ended.
    ///
    /// - Parameter stopsAtFirst: whether one node's failure ends the work on the others.
    func onAllNodes(
        stopsAtFirst: Bool = false, _ body: @escaping @Sendable (CassandraNode) async throws -> Void
    ) async throws {
        let failures = await withTaskGroup(of: (String, Failure)?.self) { group in
            for node in nodes {
                group.addTask {
                    do {
                        try await body(node)
                        return nil
                    } catch { return (node.name, Failure.wrapping(error, as: .sourceFailed)) }
                }
            }
            var failures: [(String, Failure)] = []
            for await failure in group {
                guard let failure else { continue }
                failures.append(failure)
                if stopsAtFirst { group.cancelAll() }
            }
            return failures
        }
        try Task.checkCancellation()
        let own = failures.filter { $0.1.code != .interrupted }.sorted { $0.0 < $1.0 }
        guard let (name, failure) = own.first ?? failures.first else { return }
        let text = failure.summary.contains("node '\(name)'") ? failure : failure.prefixed("node '\(name)'")
        guard own.count > 1 else { throw text }
        throw Failure(text.code, "\(text.summary) (and \(own.count - 1) more nodes failed)", hint: text.hint)
    }
}
