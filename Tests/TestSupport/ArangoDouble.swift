// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Synchronization

/// A stand-in for an ArangoDB server and its client tools: the server speaks the documented HTTP interface; `arangodump`
/// and `arangorestore` are scripts that take the documented options, refuse others, and write and read the documented
/// files. The tools talk to the server over a route that the real one does not have.
///
/// After https://docs.arangodb.com/stable/develop/http-api/ (databases, collections, users, graphs, views) and
/// https://docs.arangodb.com/stable/components/tools/arangodump/, …/arangorestore/.
public final class ArangoDouble: Sendable {
    /// One database: documents by collection. Collections whose name begins with `_` are the system's.
    public typealias Database = [String: [JSONValue]]

    /// What goes wrong.
    public enum Fault: String, Sendable, Hashable {
        /// A dump lacks the last document of each collection.
        case losesDocuments
        /// A dump lacks a collection.
        case losesCollection
        /// The tools end with status 1 and a message.
        case toolFails
        /// The tools end with status 0 and no word.
        case toolSilent
        /// arangorestore leaves out documents.
        case restoresLess
    }

    struct State {
        var databases: [String: Database] = ["_system": ["_users": [["user": "root"]]]]
        var users: [String: [String: String]] = ["root": ["*": "rw"]]
        var inactive: Set<String> = []
        var fault: Fault?
    }

    private let state = Mutex(State())
    private let version: String
    private let password: String
    private let listening = Mutex<HTTPDouble?>(nil)
    private let folder: TemporaryDirectory

    public init(version: String = "3.12.5", toolVersion: String? = nil, password: String = "s3cr@t pass") throws {
        self.version = version
        self.password = password
        folder = try TemporaryDirectory("arango-tools")
        for name in ["arangodump", "arangorestore"] {
            let path = try folder.write(name, Self.tool.replacing("VERSION", with: toolVersion ?? version))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        let server = try HTTPDouble { [weak self] request in try self?.answer(request) ?? .silence }
        listening.withLock { $0 = server }
    }

    public var port: Int { listening.withLock { $0?.port ?? 0 } }

    public func tool(_ name: String) -> String { folder(name) }

    public var databases: [String: Database] { state.withLock { $0.databases } }

    /// Rights by user and database.
    public var users: [String: [String: String]] { state.withLock { $0.users } }

    public var inactiveUsers: Set<String> { state.withLock { $0.inactive } }

    public func put(_ name: String, _ database: Database?) { state.withLock { $0.databases[name] = database } }

    public func putUser(_ name: String, _ grants: [String: String]) { state.withLock { $0.users[name] = grants } }

    public func set(_ fault: Fault?) { state.withLock { $0.fault = fault } }

    private static func reply(_ status: Int, _ value: JSONValue) throws -> HTTPDouble.Reply {
        .response(status, body: Array(try JSONEncoder().encode(value)))
    }

    private static func refuse(_ status: Int, _ words: String) throws -> HTTPDouble.Reply {
        try reply(
            status, ["error": true, "code": .integer(Int64(status)), "errorMessage": .string(words), "errorNum": 1])
    }

    private func answer(_ request: HTTPDouble.Request) throws -> HTTPDouble.Reply {
        let login = "Basic " + Data("root:\(password)".utf8).base64EncodedString()
        guard request.header("authorization") == login else { return try Self.refuse(401, "not authorized") }
        var path = request.path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
        var database = "_system"
        if path.first == "_db", path.count > 1 {
            database = path[1]
            path.removeFirst(2)
        }
        let body = (try? JSONDecoder().decode(JSONValue.self, from: Data(request.body))) ?? .null
        return try state.withLock { state in
            guard let present = state.databases[database] ?? (path.first == "tool" ? [:] : nil) else {
                return try Self.refuse(404, "database not found")
            }
            if path.first == "tool" { return try tool(request, database, body, &state) }
            return try route(request, path.joined(separator: "/"), path, present, body, &state)
        }
    }

    private func route(
        _ request: HTTPDouble.Request, _ route: String, _ path: [String], _ database: Database, _ body: JSONValue,
        _ state: inout State
    ) throws -> HTTPDouble.Reply {
        switch (request.method, route) {
        case ("GET", "_api/version"):
            return try Self.reply(200, ["server": "arango", "license": "community", "version": .string(version)])
        case ("GET", "_admin/server/role"): return try Self.reply(200, ["role": "SINGLE"])
        case ("GET", "_api/database"):
            return try Self.reply(200, ["result": .array(state.databases.keys.sorted().map { .string($0) })])
        case ("GET", "_api/collection"):
            let entries = database.keys.sorted().map { name -> JSONValue in
                ["name": .string(name), "isSystem": .bool(name.hasPrefix("_")), "type": 2, "status": 3]
            }
            return try Self.reply(200, ["result": .array(entries)])
        case ("GET", "_api/gharial"): return try Self.reply(200, ["graphs": .array(database["_graphs"] ?? [])])
        case ("GET", "_api/view"): return try Self.reply(200, ["result": []])
        case ("GET", "_api/user"):
            let entries = state.users.keys.sorted().map { JSONValue.object(["user": .string($0), "active": true]) }
            return try Self.reply(200, ["result": .array(entries)])
        case ("POST", "_api/user"):
            guard let name = body["user"]?.string, state.users[name] == nil else {
                return try Self.refuse(409, "duplicate user")
            }
            state.users[name] = [:]
            if body["active"]?.bool == false { state.inactive.insert(name) }
            return try Self.reply(201, ["user": .string(name)])
        default: break
        }
        switch (request.method, path.count) {
        case ("GET", 4) where route.hasPrefix("_api/collection/") && path[3] == "count":
            guard let documents = database[path[2]] else { return try Self.refuse(404, "collection not found") }
            return try Self.reply(200, ["count": .integer(Int64(documents.count))])
        case ("GET", 4) where route.hasPrefix("_api/user/") && path[3] == "database":
            let grants = state.users[path[2]] ?? [:]
            return try Self.reply(200, ["result": .object(grants.mapValues { .string($0) })])
        case ("PUT", 5) where route.hasPrefix("_api/user/"):
            state.users[path[2]]?[path[4]] = body["grant"]?.string
            return try Self.reply(200, [:])
        case ("DELETE", 3) where route.hasPrefix("_api/user/"):
            return state.users.removeValue(forKey: path[2]) == nil
                ? try Self.refuse(404, "user not found") : try Self.reply(202, [:])
        case ("DELETE", 3) where route.hasPrefix("_api/database/"):
            guard path[2] != "_system" else { return try Self.refuse(403, "forbidden") }
            return state.databases.removeValue(forKey: path[2]) == nil
                ? try Self.refuse(404, "database not found") : try Self.reply(200, ["result": true])
        default: return try Self.refuse(404, "unknown path '\(route)'")
        }
    }

    /// What the tools read and write.
    private func tool(
        _ request: HTTPDouble.Request, _ database: String, _ body: JSONValue, _ state: inout State
    ) throws -> HTTPDouble.Reply {
        let fault = state.fault.map { JSONValue.string($0.rawValue) } ?? .null
        if request.method == "GET" {
            guard var found = state.databases[database] else { return try Self.refuse(404, "database not found") }
            if state.fault == .losesDocuments { found = found.mapValues { Array($0.dropLast()) } }
            if state.fault == .losesCollection { found[found.keys.filter { !$0.hasPrefix("_") }.min() ?? ""] = nil }
            return try Self.reply(200, ["fault": fault, "data": .object(found.mapValues { .array($0) })])
        }
        guard case .object(let collections) = body["data"] else { return try Self.refuse(400, "no data") }
        // An existing collection of the same name is dropped without a word.
        var result = state.databases[database] ?? ["_graphs": []]
        for (name, documents) in collections {
            let all = documents.array ?? []
            result[name] = state.fault == .restoresLess ? Array(all.dropLast()) : all
        }
        state.databases[database] = result
        return try Self.reply(200, ["fault": fault])
    }
}
