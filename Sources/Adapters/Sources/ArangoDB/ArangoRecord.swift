// SPDX-License-Identifier: Apache-2.0

/// How far a restore of databases is, as its journal keeps it.
struct ArangoRecord: Codable, Sendable, Equatable {
    /// Each is noted before its work begins, except those that say that something is done.
    enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    /// How a restored database gets its place: ArangoDB cannot rename one.
    enum Way: String, Codable, Sendable {
        /// It stays beside under its new name, and clients are pointed at it.
        case beside
        /// There is none of the old name: it is restored once more, under that.
        case anew
        /// The live one is dumped, removed, and restored from the bundle.
        case replace
    }

    /// One database that is restored.
    struct Unit: Codable, Sendable, Equatable {
        /// The database's name in the bundle.
        var name: String
        var live: String
        var staged: String
        /// The unpacked dump, beside the server.
        var directory: String
        var isLoaded = false
        var way: Way?
        /// Where the live database's own dump is, and whether it is whole.
        var kept: String
        var isKept = false
        /// What the live database held.
        var keptCounts: [String: Int64] = [:]
        var isPlaced = false
    }

    var phase = Phase.none
    var units: [Unit] = []
    /// Users that are made.
    var users: [String] = []
}
