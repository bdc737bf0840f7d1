// SPDX-License-Identifier: Apache-2.0

/// How far a restore of indexes is, as its journal keeps it.
struct MeilisearchRecord: Codable, Sendable, Equatable {
    /// Each is noted before its work begins, except those that say that something is done.
    enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    /// One index that is restored. After the swap `staged` holds the old content.
    struct Unit: Codable, Sendable, Equatable {
        /// The index's name in the bundle.
        var uid: String
        var live: String
        var staged: String
        var isLoaded = false
        /// Whether the live index does not exist and is made, empty, only to be swapped.
        var isNew = false
    }

    var phase = Phase.none
    var units: [Unit] = []
    /// The newest task before the swap: a newer swap of ours is that one.
    var swapAfter: Int64?
    /// Whether the swap was done when rolling back began, and the newest task then.
    var wasSwapped = false
    var swapBackAfter: Int64?
    /// API keys that are made, by uid.
    var keys: [String] = []
}
