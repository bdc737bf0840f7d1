// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a page about one plan shows: its state, its bundles and its runs.
public struct PlanReport: Sendable {
    public var status: Status.Entry
    /// Oldest first; of each what its manifest says, the signature not checked, and what its proof records' names claim.
    public var bundles: [Bundle]
    /// What this host remembers of its runs, oldest first.
    public var runs: [RunRecord]
    /// Why the bundles are not all there; nil: they are.
    public var missing: String?

    /// One bundle of the calendar.
    public struct Bundle: Sendable {
        public var id: BundleID
        /// nil: it cannot be read.
        public var manifest: Manifest?
        public var proof: ProofStanding

        public init(id: BundleID, manifest: Manifest?, proof: ProofStanding) {
            self.id = id
            self.manifest = manifest
            self.proof = proof
        }
    }

    public init(status: Status.Entry, bundles: [Bundle], runs: [RunRecord], missing: String? = nil) {
        self.status = status
        self.bundles = bundles
        self.runs = runs
        self.missing = missing
    }

    /// Reads what there is. Nothing is thrown: a repository that does not answer leaves the bundles out.
    ///
    /// - Parameters:
    ///   - limit: how long the repository may take to answer.
    ///   - repository: opens the plan's repository.
    public static func read(
        _ status: Status.Entry, history: (any RunHistory)?, at now: Timestamp, limit: Duration? = nil,
        repository: @escaping @Sendable () async throws -> any BundleRepository
    ) async -> PlanReport {
        // That it cannot be read is told by the status already.
        let runs = (try? history?.runs(nil, newest: 200)) ?? []
        do {
            let bundles = try await AnswerLimit.run(limit, "the repository of plan '\(status.plan)'") {
                try await repository().summaries(plan: status.plan).map { summary in
                    Bundle(
                        // A manifest that cannot be read is a finding of its own.
                        id: summary.id, manifest: try? summary.manifest.get(),
                        proof: .claimed(summary.claims, of: summary.id, at: now))
                }
            }
            return PlanReport(status: status, bundles: bundles, runs: runs)
        } catch {
            return PlanReport(status: status, bundles: [], runs: runs, missing: Failure.wrapping(error).summary)
        }
    }
}
