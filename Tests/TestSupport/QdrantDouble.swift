// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Synchronization

/// A stand-in for one Qdrant server that speaks the part of its HTTP interface that backups use, refuses what the real
/// one refuses, and misbehaves on demand.
///
/// Behaviour after Qdrant's OpenAPI description (1.19) and https://qdrant.tech/documentation/concepts/snapshots,
/// …/collections (aliases), …/security; what is not documented is marked where it is done.
public final class QdrantDouble: Sendable {
    /// How snapshots are made of points and read again.
    public protocol Codec: Sendable {
        func encode(_ collection: Collection) throws -> [UInt8]
        /// - Throws: when the bytes are refused.
        func decode(_ bytes: [UInt8]) throws -> Collection
    }

    /// A collection's parameters and points.
    public struct Collection: Sendable, Equatable {
        /// `params` and the like, as `GET /collections/{name}` shows them.
        public var config: JSONValue
        /// By id.
        public var points: [Int64: JSONValue]
        /// Shard keys in the order in which they were made, for custom sharding.
        public var keys: [String]

        public init(config: JSONValue, points: [Int64: JSONValue] = [:], keys: [String] = []) {
            self.config = config
            self.points = points
            self.keys = keys
        }

        var isCustom: Bool { config["params"]?["sharding_method"]?.string == "custom" }
    }

    /// What goes wrong.
    public enum Fault: Sendable, Hashable {
        /// A bit of a snapshot flips between disk and wire.
        case flippedBit
        /// The connection ends in the middle of a snapshot.
        case truncated
        /// Making a snapshot is refused with this status.
        case refusesSnapshots(Int)
        /// The connection breaks after a snapshot was made, before the answer.
        case diesAfterSnapshot
        /// Loading a snapshot answers true, and there are no points (github.com/qdrant/qdrant/issues/10135).
        case loadsNothing
        /// Shard 1 is on another node.
        case remoteShard
        /// A snapshot has no checksum, as before version 1.9.
        case noChecksum
        /// Every request is put off once.
        case throttles
        /// A snapshot that is asked for never comes.
        case stalls
        /// A point more comes with every count.
        case writes
    }

    struct State {
        var collections: [String: Collection] = [:]
        var aliases: [String: String] = [:]
        var snapshots: [String: [(name: String, bytes: [UInt8], checksum: String)]] = [:]
        var faults: Set<Fault> = []
        var counter = 0
        var throttled: Set<String> = []
    }

    let state = Mutex(State())
    let codec: any Codec
    let version: String
    private let key: String?
    private let listening = Mutex<HTTPDouble?>(nil)

    public init(codec: any Codec = PlainSnapshots(), version: String = "1.15.4", key: String? = nil) throws {
        self.codec = codec
        self.version = version
        self.key = key
        let server = try HTTPDouble { [weak self] request in try self?.answer(request) ?? .silence }
        listening.withLock { $0 = server }
    }

    /// `http://127.0.0.1:port`.
    public var url: String { listening.withLock { $0?.url ?? "" } }

    /// Method and path of every request so far.
    public var requests: [String] { listening.withLock { $0?.requests.map { "\($0.method) \($0.target)" } ?? [] } }

    public var collections: [String: Collection] { state.withLock { $0.collections } }

    public var aliases: [String: String] { state.withLock { $0.aliases } }

    /// Names of all snapshots of all collections.
    public var snapshots: [String] { state.withLock { $0.snapshots.values.flatMap { $0.map(\.name) } } }

    public func set(_ faults: Fault...) { state.withLock { $0.faults = Set(faults) } }

    public func put(_ name: String, _ collection: Collection) { state.withLock { $0.collections[name] = collection } }

    /// Nothing is there any more: no collection, no alias.
    public func clear() {
        state.withLock { state in
            state.collections = [:]
            state.aliases = [:]
        }
    }

    public func alias(_ name: String, to collection: String) { state.withLock { $0.aliases[name] = collection } }

    /// A snapshot that somebody else made.
    public func addSnapshot(_ name: String, of collection: String) {
        state.withLock { $0.snapshots[collection, default: []].append((name, [1], SHA256Digest.of([1]).description)) }
    }

    private func answer(_ request: HTTPDouble.Request) throws -> HTTPDouble.Reply {
        let path = request.path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
        // Open without a key: /, /healthz, /readyz, /livez. Refusals are plain text.
        if let key, !path.isEmpty, request.header("api-key") != key {
            return .response(401, body: Array("Must provide an API key or an Authorization bearer token".utf8))
        }
        if isPutOff(request) { return .response(429, headers: [("Retry-After", "0")], body: Self.error("slow down")) }
        return try state.withLock { state in
            do { return try route(request, path, &state) } catch let refusal as Refusal {
                return .response(refusal.status, body: Self.error(refusal.words))
            }
        }
    }

    private func isPutOff(_ request: HTTPDouble.Request) -> Bool {
        state.withLock { state in
            state.faults.contains(.throttles) && state.throttled.insert("\(request.method) \(request.target)").inserted
        }
    }

    struct Refusal: Error {
        var status: Int
        var words: String
    }

    static func error(_ words: String) -> [UInt8] {
        Array(
            (try? JSONEncoder().encode(JSONValue.object(["status": ["error": .string(words)], "time": 0]))) ?? Data())
    }

    static func result(_ value: JSONValue) throws -> HTTPDouble.Reply {
        let body = try JSONEncoder().encode(JSONValue.object(["result": value, "status": "ok", "time": .number(0.01)]))
        return .response(200, headers: [("Content-Type", "application/json")], body: Array(body))
    }
}

/// Snapshots of the stand-in's own: the collection as JSON.
public struct PlainSnapshots: QdrantDouble.Codec {
    public init() {}

    public func encode(_ collection: QdrantDouble.Collection) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let points = collection.points.sorted { $0.key < $1.key }.map(\.value)
        let value: JSONValue = [
            "config": collection.config, "points": .array(points),
            "keys": .array(collection.keys.map { .string($0) }),
        ]
        // As long as a small real one, so that transfers come in several parts.
        return Array(try encoder.encode(value)) + [10] + [UInt8](repeating: 32, count: 300_000)
    }

    public func decode(_ bytes: [UInt8]) throws -> QdrantDouble.Collection {
        let text = bytes.prefix { $0 != 10 }
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(text))
        var points: [Int64: JSONValue] = [:]
        for point in value["points"]?.array ?? [] { points[point["id"]?.integer ?? 0] = point }
        return QdrantDouble.Collection(
            config: value["config"] ?? .null, points: points,
            keys: (value["keys"]?.array ?? []).compactMap(\.string))
    }
}
