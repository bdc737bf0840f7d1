// SPDX-License-Identifier: Apache-2.0

/// How far a restore into new collections is, as its journal keeps it.
public struct AliasedRecord: Codable, Sendable, Equatable {
    /// Each is noted before its work begins, except those that say that something is done.
    public enum Phase: String, Codable, Sendable {
        case none, staging, staged, promoting, promoted
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"
        case abandoned, settled
    }

    /// One collection that is restored.
    public struct Unit: Codable, Sendable, Equatable {
        /// The collection's name in the bundle.
        public var name: String
        /// Where it is loaded.
        public var staged: String
        /// The names under which clients shall find it.
        public var names: [String]
        public var isLoaded = false
        /// The name of a live collection, no alias, that is replaced: its copy is `old`.
        public var replaced: String?
        public var old: String?
        public var isCopied = false

        public init(name: String, staged: String, names: [String]) {
            self.name = name
            self.staged = staged
            self.names = names
        }
    }

    /// What a name of `names` was before it was switched; nil collection: it did not exist.
    public struct Before: Codable, Sendable, Equatable {
        public var alias: String
        public var collection: String?
    }

    public var phase = Phase.none
    public var units: [Unit] = []
    public var before: [Before] = []

    public init() {}
}
