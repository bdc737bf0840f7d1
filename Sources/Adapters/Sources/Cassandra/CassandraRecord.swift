// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// What a bundle keeps for its restore.
struct CassandraRecord: Sendable, Codable, Equatable {
    /// One node as it was.
    struct Node: Sendable, Codable, Equatable {
        var name: String
        /// Its stream.
        var stream: String
        var hostID: String
        var dataCenter: String
        var rack: String
        var release: String
        /// Sorted.
        var tokens: [String]
    }

    /// A node of the ring that the source does not stand for.
    struct Peer: Sendable, Codable, Equatable {
        var address: String
        var hostID: String
        var dataCenter: String
        var rack: String
        var tokens: [String]
    }

    /// One table or materialized view.
    struct Table: Sendable, Codable, Equatable {
        var keyspace: String
        var name: String
        /// With hyphens.
        var id: String
        var isView: Bool
        /// `name kind type` of each column, sorted: what must be equal to take the table's files.
        var columns: [String]
        /// By node: how many SSTables, and the decimal CRCs of their data, sorted and joined by commas.
        var digests: [String: String]
        var sstables: Int
        var dataBytes: UInt64
        /// Rows, when they were counted and stood still.
        var rows: Int64?

        var qualified: String { "\(keyspace).\(name)" }
        /// The name of its folder.
        var folder: String { "\(name)-\(id.filter { $0 != "-" })" }
    }

    var format = 1
    var product: CassandraRelease.Product
    var release: String
    var cluster: String
    var partitioner: String
    var tag: String
    var schemaVersion: String
    var scope: CassandraSettings.Scope
    var group: String?
    var nodes: [Node]
    var peers: [Peer]
    var tables: [Table]
    /// The schema's statements by keyspace, in the order in which they can be run.
    var statements: [String: [String]]
    /// SSTable layouts that occur, such as `big-nb`.
    var layouts: [String]
    /// JanusGraph's part; nil for plain Cassandra.
    var graphs: GraphRecord?

    /// The record in the bundle.
    ///
    /// - Throws: `Failure(.integrity)`.
    init(_ value: JSONValue) throws {
        do {
            self = try JSONDecoder().decode(CassandraRecord.self, from: JSONEncoder().encode(value))
        } catch { throw Failure(.integrity, "the bundle's record of the ring cannot be read: \(error)") }
        guard format == 1 else {
            throw Failure(.formatTooNew, "the bundle's record of the ring has format \(format)")
        }
    }

    var value: JSONValue {
        get throws { try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)) }
    }

    /// The release of the server it was taken from.
    var origin: CassandraRelease? { CassandraRelease(release, product: product) }

    /// Keyspaces in which something was captured, sorted.
    var keyspaces: [String] { Set(statements.keys).union(tables.map(\.keyspace)).sorted() }

    /// Whether a keyspace belongs to the server itself.
    static func isSystem(_ keyspace: String) -> Bool {
        // DataStax servers have some of their own.
        keyspace == "system" || keyspace.hasPrefix("system_") || keyspace.hasPrefix("dse_")
    }

    /// Whether a keyspace is a copy that a restore of ours has put beside a live one: no data of its own.
    static func isStaged(_ keyspace: String) -> Bool { keyspace.contains("__salvor_") }

    /// The facts of some tables: what a restore must find again.
    static func facts(of tables: [Table], nodes: [String]) -> Facts {
        var facts = Facts()
        for table in tables {
            facts["\(table.qualified) sstables"] = .count(Int64(table.sstables))
            facts["\(table.qualified) data bytes"] = .count(Int64(table.dataBytes))
            for node in nodes {
                facts["\(table.qualified) data digests of \(node)"] = .text(
                    digest(table.digests[node] ?? ""))
            }
            if let rows = table.rows { facts["\(table.qualified) rows"] = .count(rows) }
        }
        return facts
    }

    /// A short stand-in for a list of CRCs.
    static func digest(_ list: String) -> String {
        list.isEmpty ? "none" : String(SHA256Digest.of(list.utf8).description.prefix(16))
    }
}
