// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a decision needs to know of one bundle.
public struct RetentionBundle: Sendable {
    public var id: BundleID
    /// When its data were captured; of an imported bundle, when it was imported.
    public var at: Timestamp
    /// Whether every source is in it.
    public var isComplete: Bool
    public var isImported: Bool
    public var tags: [String]
    /// The bundles that its deltas and incrementals refer to.
    public var bases: [BundleID]
    /// The highest level at which it is proven by records that count.
    public var proven: ProofLevel?
    /// Whether a validation found problems that no later one took back.
    public var hasProblems: Bool
    /// Why somebody holds it; nil: nobody does.
    public var hold: String?
    /// Who deleted it and when, for people; nil: nobody did.
    public var deletion: String?
    /// Whether its manifest could be read and its signature counts.
    public var isReadable: Bool
    /// Until when runs that may not look at the repository can commit against it without anybody seeing that before; nil:
    /// there are no such runs.
    public var sparedUntil: Timestamp?

    public init(
        id: BundleID, at: Timestamp? = nil, isComplete: Bool = true, isImported: Bool = false, tags: [String] = [],
        bases: [BundleID] = [], proven: ProofLevel? = nil, hasProblems: Bool = false, hold: String? = nil,
        deletion: String? = nil, isReadable: Bool = true, sparedUntil: Timestamp? = nil
    ) {
        self.id = id
        self.at = at ?? id.started
        self.isComplete = isComplete
        self.isImported = isImported
        self.tags = tags
        self.bases = bases
        self.proven = proven
        self.hasProblems = hasProblems
        self.hold = hold
        self.deletion = deletion
        self.isReadable = isReadable
        self.sparedUntil = sparedUntil
    }

    /// What a manifest says of a bundle.
    public init(_ manifest: Manifest) {
        self.init(
            id: manifest.id, at: manifest.origin?.imported, isComplete: manifest.state == .complete,
            isImported: manifest.origin != nil, tags: manifest.tags,
            bases: Array(Set(manifest.sources.flatMap(\.streams).compactMap(\.base))).sorted())
        if manifest.access == .putOnly, manifest.sources.flatMap(\.streams).contains(where: { $0.storage == .full }) {
            sparedUntil = Timestamp(seconds: manifest.started.seconds + Int64(RetentionTimes.blindBase))
        }
    }
}

/// What becomes of one bundle, and why.
public struct RetentionDecision: Sendable, Codable, Equatable {
    public var bundle: BundleID
    public var action: Action
    /// All that keep it, or why nothing does; never empty.
    public var reasons: [Reason]
    /// Whether it counts towards `minimum-good`.
    public var isGood: Bool

    public enum Action: String, Sendable, Codable {
        case keep
        case remove
    }

    /// A reason for programs and for people.
    public struct Reason: Sendable, Codable, Equatable {
        /// Stable: a period, `within`, `forever`, `minimum-good`, `base`, `hold`, `future`, `unreadable`, `imported`,
        /// `nothing-good`, `no-policy`; of a removal `superseded`, `expired`, `deleted`.
        public var code: String
        /// For people.
        public var text: String

        public init(_ code: String, _ text: String) {
            self.code = code
            self.text = text
        }
    }

    private enum CodingKeys: String, CodingKey {
        case bundle, action, reasons
        case isGood = "good"
    }

    public init(bundle: BundleID, action: Action, reasons: [Reason], isGood: Bool) {
        self.bundle = bundle
        self.action = action
        self.reasons = reasons
        self.isGood = isGood
    }
}
