// SPDX-License-Identifier: Apache-2.0

/// A stretch of the UTC calendar of which one bundle is kept; `last` is each bundle by itself.
public enum RetentionPeriod: String, Sendable, Codable, CaseIterable {
    case last
    case hourly
    case daily
    /// ISO 8601 weeks: Monday to Sunday.
    case weekly
    case monthly
    case quarterly
    case yearly
}

/// One bundle of each period, for so many periods or so long.
public struct RetentionRule: Sendable, Equatable {
    public var period: RetentionPeriod
    public var extent: Extent

    /// How far back a rule reaches.
    public enum Extent: Sendable, Equatable {
        /// The newest so many periods that have a good bundle.
        case count(Int)
        /// Periods whose bundle is at most so many seconds older than the newest good one.
        case seconds(Int)
    }

    public init(_ period: RetentionPeriod, _ extent: Extent) {
        self.period = period
        self.extent = extent
    }
}

/// Which bundles of a group are kept: those that any of its rules keeps.
public struct RetentionRules: Sendable, Equatable {
    /// In order of `RetentionPeriod.allCases`, each period at most once.
    public var periods: [RetentionRule]
    /// Every bundle at most so many seconds older than the newest good one.
    public var within: Int?
    /// Every bundle, always.
    public var isForever: Bool

    public init(_ periods: [RetentionRule] = [], within: Int? = nil, isForever: Bool = false) {
        self.periods = periods
        self.within = within
        self.isForever = isForever
    }

    /// Whether no rule keeps anything.
    public var keepsNothing: Bool { periods.isEmpty && within == nil && !isForever }
}

/// How long the bundles of a plan live (docs/retention.md).
public struct RetentionPolicy: Sendable, Equatable {
    /// For bundles without a tag of `tags`.
    public var rules: RetentionRules
    /// Tags with rules of their own, which take the place of the plan's.
    public var tags: [String: RetentionRules]
    /// So many of the newest good bundles are never removed.
    public var minimumGood: Int
    /// How far a bundle must be proven to count among them; nil: being complete is enough, as each was decoded when it
    /// was made.
    public var minimumProof: ProofLevel?
    /// Seconds from marking a bundle to removing it.
    public var grace: Int

    /// Three: one bad bundle, or two, leave one.
    public static let standardMinimumGood = 3
    /// Three days: a weekend to notice.
    public static let standardGrace = 3 * 86400
    /// What a backup that uses a base relies on (docs/format.md): it commits within half of this after its last look.
    public static let shortestGrace = 3600

    public init(
        rules: RetentionRules, tags: [String: RetentionRules] = [:], minimumGood: Int = standardMinimumGood,
        minimumProof: ProofLevel? = nil, grace: Int = standardGrace
    ) {
        self.rules = rules
        self.tags = tags
        self.minimumGood = minimumGood
        self.minimumProof = minimumProof
        self.grace = grace
    }
}
