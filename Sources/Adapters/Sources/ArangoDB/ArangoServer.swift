// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// The calls to one ArangoDB server (HTTP API of 3.10 to 3.12).
struct ArangoServer: Sendable {
    let web: WebConnection

    /// One collection of a database.
    struct Collection: Sendable, Equatable {
        var name: String
        var isSystem: Bool
    }

    private func path(_ database: String, _ rest: String) -> String {
        "/_db/\(WebConnection.segment(database))\(rest)"
    }

    func version() async throws -> ArangoVersion {
        let reply = try await web.json("GET", "/_api/version", step: "asking for the version")
        guard reply["server"]?.string == "arango", let version = reply["version"]?.string.flatMap({ ArangoVersion($0) })
        else {
            throw Failure(
                .sourceFailed, "\(web.name) does not answer as ArangoDB does",
                hint: "Point 'connection' at ArangoDB's port, usually 8529.")
        }
        return version
    }

    /// `SINGLE`, `COORDINATOR` and others.
    func role() async throws -> String {
        try await web.json("GET", "/_admin/server/role", step: "asking for its role")["role"]?.string ?? "SINGLE"
    }

    func databases() async throws -> [String] {
        let reply = try await web.json("GET", "/_api/database", step: "listing the databases")
        return (reply["result"]?.array ?? []).compactMap(\.string).sorted()
    }

    func collections(_ database: String) async throws -> [Collection] {
        let reply = try await web.json(
            "GET", path(database, "/_api/collection?excludeSystem=false"),
            step: "listing the collections of database '\(database)'")
        return (reply["result"]?.array ?? []).compactMap { entry in
            guard let name = entry["name"]?.string else { return nil }
            return Collection(name: name, isSystem: entry["isSystem"]?.bool ?? name.hasPrefix("_"))
        }.sorted { $0.name < $1.name }
    }

    func count(_ collection: String, in database: String) async throws -> Int64 {
        let reply = try await web.json(
            "GET", path(database, "/_api/collection/\(WebConnection.segment(collection))/count"),
            step: "counting collection '\(collection)' of database '\(database)'")
        guard let count = reply["count"]?.integer else {
            throw Failure(.sourceFailed, "\(web.name) does not tell the size of collection '\(collection)'")
        }
        return count
    }

    /// Counts of all collections that are not the system's.
    func counts(_ database: String) async throws -> [String: Int64] {
        var counts: [String: Int64] = [:]
        for collection in try await collections(database) where !collection.isSystem {
            counts[collection.name] = try await count(collection.name, in: database)
        }
        return counts
    }

    func graphs(_ database: String) async throws -> Int64 {
        let reply = try await web.json(
            "GET", path(database, "/_api/gharial"), step: "listing the graphs of database '\(database)'")
        return Int64(reply["graphs"]?.array?.count ?? 0)
    }

    func views(_ database: String) async throws -> Int64 {
        let reply = try await web.json(
            "GET", path(database, "/_api/view"), step: "listing the views of database '\(database)'")
        return Int64(reply["result"]?.array?.count ?? 0)
    }

    /// Users with their rights, without passwords; nil when this user may not list them.
    func users() async throws -> [JSONValue]? {
        let reply = try await web.send("GET", "/_api/user", step: "listing the users", accepting: [200, 401, 403])
        guard reply.status == 200 else { return nil }
        var users: [JSONValue] = []
        for entry in reply.json?["result"]?.array ?? [] {
            guard let name = entry["user"]?.string else { continue }
            let grants = try await web.json(
                "GET", "/_api/user/\(WebConnection.segment(name))/database?full=false",
                step: "reading the rights of user '\(name)'")
            var members = entry.members
            members["grants"] = grants["result"] ?? [:]
            users.append(.object(members))
        }
        return users
    }

    /// Makes a user who cannot log in: nobody knows the password, and the account is not active.
    func createInactiveUser(_ name: String) async throws {
        let password = (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        _ = try await web.json(
            "POST", "/_api/user", ["user": .string(name), "passwd": .string(password), "active": false],
            step: "making user '\(name)'", accepting: [201])
    }

    func removeUser(_ name: String) async throws {
        _ = try await web.send(
            "DELETE", "/_api/user/\(WebConnection.segment(name))", step: "removing user '\(name)'",
            accepting: [200, 202, 404])
    }

    func grant(_ level: String, on database: String, to user: String) async throws {
        _ = try await web.json(
            "PUT", "/_api/user/\(WebConnection.segment(user))/database/\(WebConnection.segment(database))",
            ["grant": .string(level)], step: "granting database '\(database)' to '\(user)'")
    }

    /// Removes a database; succeeds when there is none.
    func drop(_ database: String) async throws {
        _ = try await web.send(
            "DELETE", "/_api/database/\(WebConnection.segment(database))", step: "removing database '\(database)'",
            accepting: [200, 404])
    }
}

/// A version, of which a newer one takes what an older one wrote.
struct ArangoVersion: Sendable, Comparable, CustomStringConvertible {
    var major: Int
    var minor: Int
    var description: String

    init?(_ text: String) {
        let parts = text.split { $0 == "." || $0 == "-" }
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        (self.major, self.minor, description) = (major, minor, text)
    }

    static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }

    static func == (left: Self, right: Self) -> Bool { (left.major, left.minor) == (right.major, right.minor) }
}
