// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Foundation
import Synchronization

/// A stand-in for one Meilisearch server: indexes, settings, keys and a queue of tasks that are done one after the other,
/// a while after they were asked for. It refuses what the real one refuses, and misbehaves on demand.
///
/// Behaviour after Meilisearch's API reference (1.15): https://www.meilisearch.com/docs/reference/api/tasks, …/indexes,
/// …/documents, …/settings, …/keys, and https://www.meilisearch.com/docs/reference/errors/error_codes.
public final class MeilisearchDouble: Sendable {
    /// One index. Documents in the order in which they were added first.
    public struct Index: Sendable, Equatable {
        public var primaryKey: String?
        public var documents: [JSONValue] = []
        public var settings: [String: JSONValue] = MeilisearchDouble.defaults

        public init(primaryKey: String? = nil, documents: [JSONValue] = []) {
            self.primaryKey = primaryKey
            self.documents = documents
        }
    }

    /// What goes wrong.
    public enum Fault: Sendable, Hashable {
        /// Every task of that type fails for want of room.
        case fails(String)
        /// Every task of that type is cancelled by somebody.
        case cancels(String)
        /// Tasks stay in the queue for so many looks at it.
        case late(Int)
        /// A document is added, as a task, after each page that was read.
        case writes
        /// An addition succeeds and loses its last document.
        case loses
        /// The connection breaks after a swap was asked for, before the answer.
        case diesAfterSwap
    }

    struct QueuedTask {
        var uid: Int64
        var type: String
        var index: String?
        var status = "enqueued"
        var details: JSONValue = .null
        var error: (code: String, message: String)?
        var looks: Int
        var work: (inout State) throws -> Void
    }

    struct State {
        var indexes: [String: Index] = [:]
        var tasks: [QueuedTask] = []
        var keys: [JSONValue] = []
        var faults: Set<Fault> = []
        var added = 0

        var late: Int {
            for case .late(let looks) in faults { return looks }
            return 1
        }
    }

    static let defaults: [String: JSONValue] = [
        "rankingRules": ["words", "typo"], "stopWords": [], "synonyms": [:], "filterableAttributes": [],
        "sortableAttributes": [], "displayedAttributes": ["*"], "searchableAttributes": ["*"],
        "distinctAttribute": .null,
    ]

    /// Where it puts dumps.
    public let dumps: TemporaryDirectory
    let state: Mutex<State>
    let version: String
    let key: String?
    private let listening = Mutex<HTTPDouble?>(nil)

    public init(version: String = "1.15.2", key: String? = nil) throws {
        state = Mutex(State())
        dumps = try TemporaryDirectory("dumps")
        self.version = version
        self.key = key
        let server = try HTTPDouble { [weak self] request in try self?.answer(request) ?? .silence }
        listening.withLock { $0 = server }
    }

    public var url: String { listening.withLock { $0?.url ?? "" } }

    /// Method and path of every request so far.
    public var requests: [String] { listening.withLock { $0?.requests.map { "\($0.method) \($0.target)" } ?? [] } }

    public var indexes: [String: Index] { state.withLock { $0.indexes } }

    public var keys: [JSONValue] { state.withLock { $0.keys } }

    public func set(_ faults: Fault...) { state.withLock { $0.faults = Set(faults) } }

    public func put(_ name: String, _ index: Index) { state.withLock { $0.indexes[name] = index } }

    /// No index is there any more.
    public func clear() { state.withLock { $0.indexes = [:] } }

    public func addKey(_ uid: String) {
        state.withLock { $0.keys.append(Self.key(uid, ["actions": ["search"], "indexes": ["*"]])) }
    }

    /// Lets tasks that are late be done at the next look.
    public func hurry() {
        state.withLock { state in
            for index in state.tasks.indices { state.tasks[index].looks = 0 }
        }
    }

    /// The text of a key follows from the master key and the uid.
    static func key(_ uid: String, _ fields: JSONValue) -> JSONValue {
        var members: [String: JSONValue] = ["expiresAt": .null, "name": .null, "description": .null]
        if case .object(let given) = fields { members.merge(given) { $1 } }
        members["uid"] = .string(uid)
        members["key"] = .string(SHA256Digest.of("master \(uid)".utf8).description)
        return .object(members)
    }

    struct Refusal: Error {
        var status: Int
        var code: String
        var message: String
    }

    private func answer(_ request: HTTPDouble.Request) throws -> HTTPDouble.Reply {
        let path = request.path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
        return try state.withLock { state in
            do {
                if let key, path != ["health"] {
                    guard let given = request.header("authorization") else {
                        throw Refusal(
                            status: 401, code: "missing_authorization_header",
                            message: "The Authorization header is missing.")
                    }
                    guard given == "Bearer \(key)" else {
                        throw Refusal(status: 403, code: "invalid_api_key", message: "The provided API key is invalid.")
                    }
                }
                if path.first == "tasks" { Self.work(&state) }
                return try route(request, path, &state)
            } catch let refusal as Refusal {
                return try Self.reply(
                    refusal.status,
                    [
                        "message": .string(refusal.message), "code": .string(refusal.code), "type": "invalid_request",
                        "link": "https://docs.meilisearch.com/errors",
                    ])
            }
        }
    }

    static func reply(_ status: Int, _ value: JSONValue) throws -> HTTPDouble.Reply {
        .response(
            status, headers: [("Content-Type", "application/json")], body: Array(try JSONEncoder().encode(value)))
    }

    /// The queue moves by one step at each look at it.
    private static func work(_ state: inout State) {
        guard let index = state.tasks.firstIndex(where: { $0.status == "enqueued" || $0.status == "processing" }) else {
            return
        }
        if state.tasks[index].looks > 0 {
            state.tasks[index].looks -= 1
            state.tasks[index].status = "processing"
            return
        }
        let task = state.tasks[index]
        if state.faults.contains(.cancels(task.type)) {
            state.tasks[index].status = "canceled"
        } else if state.faults.contains(.fails(task.type)) {
            state.tasks[index].status = "failed"
            state.tasks[index].error = ("no_space_left_on_device", "No space left on device (os error 28)")
        } else {
            do {
                try task.work(&state)
                state.tasks[index].status = "succeeded"
            } catch let refusal as Refusal {
                state.tasks[index].status = "failed"
                state.tasks[index].error = (refusal.code, refusal.message)
            } catch { state.tasks[index].status = "failed" }
        }
    }

    static func enqueue(
        _ type: String, _ index: String?, details: JSONValue = .null, _ state: inout State,
        _ work: @escaping (inout State) throws -> Void
    ) throws -> HTTPDouble.Reply {
        let uid = Int64(state.tasks.count)
        state.tasks.append(
            QueuedTask(uid: uid, type: type, index: index, details: details, looks: state.late, work: work))
        return try reply(
            202,
            [
                "taskUid": .integer(uid), "indexUid": index.map { .string($0) } ?? .null, "status": "enqueued",
                "type": .string(type),
            ])
    }

    static func json(_ task: QueuedTask) -> JSONValue {
        [
            "uid": .integer(task.uid), "indexUid": task.index.map { .string($0) } ?? .null,
            "status": .string(task.status), "type": .string(task.type), "details": task.details,
            "error": task.error.map { ["message": .string($0.message), "code": .string($0.code)] } ?? .null,
        ]
    }
}
