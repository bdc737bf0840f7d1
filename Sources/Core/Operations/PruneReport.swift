// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Retention

/// What a prune decided, and what it did.
public struct PruneReport: Sendable, Codable, Equatable {
    public var plan: String
    public var repository: String
    public var at: Timestamp
    /// Whether anything was to be changed; false: a dry run.
    public var applied: Bool
    /// Seconds from marking to removing.
    public var graceSeconds: Int
    /// Oldest first.
    public var bundles: [Entry]
    /// What is there without being a bundle.
    public var leftovers: [Leftover]
    /// Why nothing is removed; empty: nothing stands against it.
    public var blockers: [Blocker]
    /// Records of runs that were older than anything the policy keeps, and are gone; nil: none was looked for.
    public var removedRuns: Int?
    /// Records that do not count, and whatever else deserves a look.
    public var notes: [String]

    /// One bundle.
    public struct Entry: Sendable, Codable, Equatable {
        public var decision: RetentionDecision
        public var state: State
        /// When the grace time of its mark is over; nil: it has none.
        public var due: Timestamp?
        public var storedBytes: UInt64?
        /// Why it is still there, of a retained one.
        public var retained: String?
        /// What locks it, of a retained one, as far as the store tells.
        public var lock: ObjectRetention?
    }

    /// Where a bundle is on its way.
    public enum State: String, Sendable, Codable {
        case kept
        /// It would be marked.
        case unmarked
        /// It was marked, and waits.
        case marked
        /// Its grace time is over: it would be removed.
        case due
        case removed
        /// The store did not let it go; nothing is lost.
        case retained
    }

    /// A folder without a manifest.
    public struct Leftover: Sendable, Codable, Equatable {
        public var bundle: BundleID
        public var state: State
        /// When it counts as dead; nil: it is the rest of a removed bundle.
        public var due: Timestamp?
        public var retained: String?
        public var lock: ObjectRetention?

        /// What became of it.
        mutating func take(_ removal: StoreRemoval, at now: Timestamp) {
            state = removal.left == 0 ? .removed : .retained
            lock = removal.lock.flatMap { $0.isLocked(at: now) ? $0 : nil }
            retained = removal.failure.map {
                "\(removal.left) objects are left: \(lock?.text ?? $0.summary)"
            }
        }
    }

    /// Why nothing is removed.
    public struct Blocker: Sendable, Codable, Equatable {
        /// Stable: `listing-empty`, `listing-shrank`, `unreadable`, `last-run-failed`, `minimum-good`, `recipients`.
        public var code: String
        /// For people.
        public var text: String
        /// What to do.
        public var remedy: String

        public init(_ code: String, _ text: String, _ remedy: String) {
            self.code = code
            self.text = text
            self.remedy = remedy
        }
    }

    /// Whether there is a bundle whose grace time is over.
    var hasDue: Bool { bundles.contains { $0.state == .due } }

    /// Whether the store refused to let something go.
    public var hasRetained: Bool {
        bundles.contains { $0.state == .retained } || leftovers.contains { $0.state == .retained }
    }

    /// Whether it refused something that is not known to be locked: a missing right, for example.
    public var hasRefused: Bool {
        bundles.contains { $0.state == .retained && $0.lock == nil }
            || leftovers.contains { $0.state == .retained && $0.lock == nil }
    }

    /// For the record of the run: the bundles that are still there although their time is over.
    public var retained: [RetainedBundle] {
        bundles.filter { $0.state == .retained }.map {
            RetainedBundle(bundle: $0.decision.bundle, until: $0.lock?.until, reason: $0.retained ?? "")
        }
    }
}
