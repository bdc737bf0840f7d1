// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Notifications

/// Looks for trouble that no run tells of: nights that did not happen, keys that end, a repository that fills.
public struct NotificationCheck: Sendable {
    let clock: any WallClock

    public init(clock: any WallClock) {
        self.clock = clock
    }

    /// What a look at the repository gave.
    public struct Result: Sendable {
        public var assessment: Assessment
        public var lastGood: BundleID?
        /// Why the repository was not looked at; nil: it was.
        public var failure: Failure?
    }

    /// Looks at a plan.
    ///
    /// - Parameters:
    ///   - history: the host's records of the plan, newest last.
    ///   - certificates: of servers that the plan needs.
    public func run(
        _ plan: Plan, _ repository: any BundleRepository, history: [RunRecord], certificates: [Check]
    ) async -> Result {
        let now = clock.now()
        do {
            let descriptor = try await repository.descriptor()
            guard plan.repository.access == .full else {
                return await withoutLooking(plan, repository, history, certificates, descriptor.created)
            }
            let manifests = try await repository.summaries(plan: plan.name).compactMap { summary -> Manifest? in
                // What cannot be read is no good bundle; 'status' and validation tell of it.
                if case .success(let manifest) = summary.manifest { manifest } else { nil }
            }
            let lastGood = try await newestGood(manifests, repository)
            let room = try await repository.storeFacts().room
            let keys = await repository.keyChecks(plan: plan, at: now)
            var assessment = Assessment()
            judge(
                Overdue.finding(plan: plan, lastGood: lastGood, waitingSince: descriptor.created, now: now), .overdue,
                &assessment)
            judge(KeyExpiry.finding(plan: plan, checks: keys + certificates, now: now), .keys, &assessment)
            judge(StorageRoom.finding(plan: plan, room: room, manifests: manifests, now: now), .storage, &assessment)
            return Result(assessment: assessment, lastGood: lastGood)
        } catch {
            return withoutRepository(plan, history: history, failure: Failure.wrapping(error))
        }
    }

    /// Of a plan that may only put: the host's own runs, and keys.
    private func withoutLooking(
        _ plan: Plan, _ repository: any BundleRepository, _ history: [RunRecord], _ certificates: [Check],
        _ created: Timestamp
    ) async -> Result {
        let now = clock.now()
        let lastGood = RunAssessment.lastGood(history)
        let keys = await repository.keyChecks(plan: plan, at: now)
        var assessment = Assessment()
        judge(
            Overdue.finding(plan: plan, lastGood: lastGood, waitingSince: created, now: now), .overdue, &assessment)
        judge(KeyExpiry.finding(plan: plan, checks: keys + certificates, now: now), .keys, &assessment)
        return Result(assessment: assessment, lastGood: lastGood)
    }

    /// What the host's own memory tells when the repository cannot be looked at.
    public func withoutRepository(_ plan: Plan, history: [RunRecord], failure: Failure) -> Result {
        let lastGood = RunAssessment.lastGood(history)
        let overdue = Overdue.finding(plan: plan, lastGood: lastGood, waitingSince: nil, now: clock.now())
        return Result(
            assessment: Assessment(findings: [overdue].compactMap { $0 }), lastGood: lastGood, failure: failure)
    }

    private func judge(_ finding: Finding?, _ kind: TroubleKind, _ assessment: inout Assessment) {
        if let finding { assessment.findings.append(finding) } else { assessment.cleared.insert(kind) }
    }

    /// The newest complete bundle whose signature counts: what a store made up does not end an alarm.
    private func newestGood(
        _ manifests: [Manifest], _ repository: any BundleRepository
    ) async throws -> BundleID? {
        // What was imported is no night of this host.
        for manifest in manifests.reversed() where manifest.state == .complete && manifest.origin == nil {
            do {
                return try await repository.manifest(manifest.id).manifest.id
            } catch let failure as Failure where [.integrity, .key, .notFound].contains(failure.code.exitStatus) {
                continue
            }
        }
        return nil
    }
}
