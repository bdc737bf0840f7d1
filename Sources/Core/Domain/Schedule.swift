// SPDX-License-Identifier: Apache-2.0

/// When a plan's commands run by themselves, and how (the plan's `schedule`).
public struct Schedule: Sendable, Equatable {
    /// When the plan is backed up; at least one.
    public var backup: [CalendarExpression]
    /// Seconds by which each run may be put off, so that many hosts do not begin at once.
    public var randomizedDelay: Int?
    public var validation: Validation?
    public var prune: [CalendarExpression]
    /// When a drill is held.
    public var drill: [CalendarExpression]
    /// When trouble is looked for that no run tells of (`salvor notify check`).
    public var check: [CalendarExpression]

    /// What is proven, how far, and when.
    public struct Validation: Sendable, Equatable {
        public var calendar: [CalendarExpression]
        public var level: ProofLevel
        public var which: Which

        /// Which of a plan's bundles are validated.
        public enum Which: String, Sendable, CaseIterable {
            case latest
            case all
        }

        public init(calendar: [CalendarExpression], level: ProofLevel = .checksum, which: Which = .latest) {
            self.calendar = calendar
            self.level = level
            self.which = which
        }
    }

    /// What runs by itself.
    public enum Job: String, Sendable, CaseIterable {
        case backup
        case validate
        case prune
        case drill
        case check
    }

    public init(
        backup: [CalendarExpression], randomizedDelay: Int? = nil, validation: Validation? = nil,
        prune: [CalendarExpression] = [], drill: [CalendarExpression] = [], check: [CalendarExpression] = []
    ) {
        self.backup = backup
        self.randomizedDelay = randomizedDelay
        self.validation = validation
        self.prune = prune
        self.drill = drill
        self.check = check
    }

    /// When a job runs; empty: never by itself.
    public func calendar(_ job: Job) -> [CalendarExpression] {
        switch job {
        case .backup: backup
        case .validate: validation?.calendar ?? []
        case .prune: prune
        case .drill: drill
        case .check: check
        }
    }

    /// When a job is due next, before any randomized delay; nil: never.
    ///
    /// - Parameter localZone: the zone of expressions that name none; nil: this host's.
    public func next(_ job: Job = .backup, after moment: Timestamp, localZone: String? = nil) -> Timestamp? {
        calendar(job).compactMap { $0.next(after: moment, localZone: localZone) }.min()
    }

    /// The longest time in seconds between two runs in a row among the next few, from `moment` on: what to expect of the age
    /// of a plan's newest bundle, weekends included. nil: the job runs at most once more.
    public func longestInterval(_ job: Job = .backup, after moment: Timestamp, localZone: String? = nil) -> Int? {
        guard var last = next(job, after: moment, localZone: localZone) else { return nil }
        var longest: Int64?
        // A week of hourly runs is 168; more often than that, the day's own gaps are in it.
        for _ in 0..<200 {
            guard let following = next(job, after: last, localZone: localZone) else { break }
            longest = max(longest ?? 0, following.seconds - last.seconds)
            last = following
        }
        return longest.map { Int($0) }
    }
}
