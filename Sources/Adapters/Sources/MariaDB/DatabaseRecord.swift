// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// What a bundle says of one database besides its streams.
struct DatabaseRecord: Codable, Sendable, Equatable {
    var name: String
    var characterSet: String
    var collation: String
    /// Bytes of data and indexes, as the server estimates them.
    var bytes: Int64
    /// Names in order.
    var views: [String]
    var events: [String]
    var hasPrograms: Bool
    /// Engines of its tables.
    var engines: [String]
    var position: String?

    /// The streams of a database.
    var tables: String { Self.stream("db", name) }
    var programs: String { Self.stream("programs", name) }
    var scheduled: String { Self.stream("events", name) }

    /// A name that is the same every night.
    private static func stream(_ kind: String, _ database: String) -> String {
        let escaped = SafeName.escaping(database)
        guard escaped.utf8.count > 80 else { return "\(kind).\(escaped)" }
        return "\(kind).\(escaped.prefix(60)).\(SHA256Digest.of(Array(database.utf8)).description.prefix(16))"
    }

    /// Its file name when it is restored to a folder.
    func fileName(_ suffix: String) -> String { SafeName.escaping(String(name.prefix(40))) + suffix }
}

/// What a bundle says of the server.
struct ServerRecord: Codable, Sendable {
    var product: String
    var version: String
    var dumpVersion: String
    var hostName: String
    var serverID: String
    var nameCase: String
    var hasAccounts: Bool
    var databases: [DatabaseRecord]

    static let accounts = "accounts"

    init(
        _ identity: ServerIdentity, dump: ClientProgram, hasAccounts: Bool, databases: [DatabaseRecord]
    ) {
        product = identity.product
        version = identity.number
        dumpVersion = dump.version
        hostName = identity.hostName
        serverID = identity.serverID
        nameCase = identity.nameCase
        self.hasAccounts = hasAccounts
        self.databases = databases
    }

    /// - Throws: `Failure(.integrity)`.
    init(_ value: JSONValue) throws {
        do {
            self = try JSONDecoder().decode(ServerRecord.self, from: JSONEncoder().encode(value))
        } catch { throw Failure(.integrity, "the bundle does not describe its databases: \(error)") }
    }

    var json: JSONValue {
        get throws { try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(self)) }
    }
}
