// SPDX-License-Identifier: Apache-2.0
public import Domain

extension Status {
    /// One plan's state, as far as it could be found out.
    public struct Entry: Sendable, Codable, Equatable {
        public var plan: String
        public var repository: String
        /// When it was looked at.
        public var at: Timestamp
        /// Whether the repository answered; otherwise everything about bundles is what this host remembers of its runs.
        public var isReachable: Bool
        /// `putOnly` when the plan may not look at the repository: then likewise; nil: it may.
        public var access: RepositoryAccess?
        /// The newest complete bundle.
        public var lastGood: BundleID?
        /// Its age in seconds.
        public var ageSeconds: Int?
        /// The newest bundle of any state.
        public var last: BundleID?
        /// The recovery-point objective.
        public var objectiveSeconds: Int?
        public var bundles: Int
        /// Of all bundles.
        public var storedBytes: UInt64
        /// What the newest complete bundle weighs.
        public var size: Size?
        /// Bytes the store can still take; nil: it does not tell.
        public var freeBytes: UInt64?
        /// How far the newest complete bundle is proven, by records whose signatures were checked.
        public var proof: ProofStanding?
        /// When any bundle was last proven at a level, or at a higher one; without those never reached.
        public var lastProofs: [LastProof]
        /// In the order of the plan.
        public var sources: [Source]
        /// The last run of each kind on this host; a backup of some sources only is none. The drill is of whichever host, and
        /// one that failed as long as none succeeded since with what failed in it.
        public var lastRuns: [LastRun]
        /// When the timer is due next; nil: the plan has no schedule.
        public var nextRun: Timestamp?
        /// The end of the last drill that succeeded; nil: never.
        public var lastDrill: Timestamp?
        public var drillEverySeconds: Int?
        public var keys: [KeyExpiry]
        /// Records of runs that wait for the repository on this host.
        public var pendingRecords: Int
        /// What deserves a look, and is not wrong yet.
        public var warnings: [String]
        /// Why an operator should look; empty: all is well.
        public var problems: [String]
        /// The drills of this host and of others, as far as they are known.
        var drills: [RunRecord] = []

        /// Whether anybody looked at what the repository holds.
        public var isSeen: Bool { isReachable && access != .putOnly }

        private enum CodingKeys: String, CodingKey {
            case plan, repository, at, lastGood, ageSeconds, last, objectiveSeconds, bundles, storedBytes, size
            case freeBytes, proof, lastProofs, sources, lastRuns, nextRun, lastDrill, drillEverySeconds, keys
            case pendingRecords, warnings, problems, access
            case isReachable = "reachable"
        }

        /// Nothing is known yet.
        public init(_ plan: Plan, at now: Timestamp) {
            self.plan = plan.name
            repository = plan.repository.store
            at = now
            isReachable = false
            access = plan.repository.access == .full ? nil : plan.repository.access
            objectiveSeconds = plan.objectives.recoveryPoint
            bundles = 0
            storedBytes = 0
            lastProofs = []
            sources = plan.sources.map { Source(name: $0.name, adapter: $0.adapter) }
            lastRuns = []
            drillEverySeconds = plan.objectives.drillEvery
            keys = []
            pendingRecords = 0
            warnings = []
            problems = []
        }

        /// The last run of a kind; nil: none is remembered.
        public func lastRun(_ kind: RunRecord.Kind) -> LastRun? { lastRuns.first { $0.kind == kind } }
    }

    /// One source of a plan.
    public struct Source: Sendable, Codable, Equatable {
        public var name: String
        public var adapter: String
        /// The newest bundle that has the source.
        public var lastGood: BundleID?
        public var ageSeconds: Int?
        /// What the source weighs in it.
        public var size: Size?
        /// How far that bundle is proven.
        public var proof: ProofStanding?
        /// Why the last run on this host failed to capture it, or the code that the newest bundle gives; nil: it did not.
        public var failure: RecordedFailure?
    }

    /// What a capture weighs, and what is usual.
    public struct Size: Sendable, Codable, Equatable {
        public var rawBytes: UInt64
        public var storedBytes: UInt64
        public var seconds: Double
        /// The median of the captures before that are alike; nil: too few to tell.
        public var usualRawBytes: UInt64?

        public init(rawBytes: UInt64, storedBytes: UInt64, seconds: Double, usualRawBytes: UInt64?) {
            self.rawBytes = rawBytes
            self.storedBytes = storedBytes
            self.seconds = seconds
            self.usualRawBytes = usualRawBytes
        }

        /// By how much it differs from what is usual: 0.5 is half as much again; nil: nothing to compare with.
        public var change: Double? {
            guard let usual = usualRawBytes, usual > 0 else { return nil }
            return Double(rawBytes) / Double(usual) - 1
        }
    }

    /// When a level of proof was reached last.
    public struct LastProof: Sendable, Codable, Equatable {
        public var level: ProofLevel
        public var at: Timestamp
        public var bundle: BundleID

        public init(level: ProofLevel, at: Timestamp, bundle: BundleID) {
            self.level = level
            self.at = at
            self.bundle = bundle
        }
    }

    /// How a run of this host ended.
    public struct LastRun: Sendable, Codable, Equatable {
        public var kind: RunRecord.Kind
        public var started: Timestamp
        public var finished: Timestamp
        public var outcome: RunRecord.Outcome
        public var failure: RecordedFailure?

        public init(_ record: RunRecord) {
            kind = record.kind
            started = record.started
            finished = record.finished
            outcome = record.outcome
            failure = record.failure
        }
    }
}
