// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Retention

/// Removes what a plan's policy keeps no longer, in two phases: a signed mark, and, when the grace time is over and the
/// decision still stands, the bundle. A prune that is killed is finished by the next; several at once do no harm.
public struct Prune: Sendable {
    let repository: any RetentionRepository
    let memory: any RetentionMemory
    let clock: any WallClock
    let progress: any ProgressListener

    public init(
        repository: any RetentionRepository, memory: any RetentionMemory, clock: any WallClock,
        progress: any ProgressListener
    ) {
        self.repository = repository
        self.memory = memory
        self.clock = clock
        self.progress = progress
    }

    /// What to do.
    public struct Request: Sendable {
        public var plan: Plan
        /// Mark and remove; otherwise only tell.
        public var applies: Bool
        /// Accept that bundles are gone that were there before.
        public var forgetsMissing: Bool
        public var host: String
        public var tool: String

        public init(plan: Plan, applies: Bool, forgetsMissing: Bool = false, host: String, tool: String) {
            self.plan = plan
            self.applies = applies
            self.forgetsMissing = forgetsMissing
            self.host = host
            self.tool = tool
        }
    }

    /// - Returns: what was decided and done. With `blockers`, nothing was removed after they were found.
    /// - Throws: when the store cannot be reached; what was done until then is finished by the next prune.
    public func run(_ request: Request) async throws -> PruneReport {
        _ = try await repository.descriptor()
        progress.report(.phase("decide"))
        let now = clock.now()
        let snapshot = try await RetentionSnapshot.load(request.plan, from: repository, at: now)
        let decisions = Retention.decide(snapshot.bundles, policy: request.plan.policy, now: now)
        let checks = PruneChecks(repository: repository, memory: memory, plan: request.plan)
        let blockers = try await checks.blockers(
            snapshot, decisions, expected: request.forgetsMissing ? [] : try memory.knownBundles())
        var report = report(request, snapshot, decisions, blockers)
        guard request.applies, blockers.isEmpty else { return report }
        try memory.setKnownBundles(snapshot.bundles.map(\.id))
        try await mark(&report, snapshot, request)
        try await sweep(&report, snapshot, request, checks)
        if report.blockers.isEmpty { try await forgetRuns(&report, request.plan) }
        return report
    }

    /// Removes records of runs that are older than any bundle the policy keeps can be, and a grace time more.
    private func forgetRuns(_ report: inout PruneReport, _ plan: Plan) async throws {
        guard let policy = plan.policy, let term = policy.longestTerm else { return }
        let age = Int64(term) + Int64(report.graceSeconds)
        let (removed, rest) = try await repository.removeRunRecords(
            plan: plan.name, before: Timestamp(seconds: report.at.seconds - age))
        report.removedRuns = removed
        // Nothing hangs on them: the next prune asks again.
        if let failure = rest.failure { report.notes.append("\(rest.left) old run records stay: \(failure.summary)") }
    }

    private func grace(_ plan: Plan) -> Int { plan.policy?.grace ?? RetentionPolicy.standardGrace }

    private func report(
        _ request: Request, _ snapshot: RetentionSnapshot, _ decisions: [RetentionDecision],
        _ blockers: [PruneReport.Blocker]
    ) -> PruneReport {
        let grace = grace(request.plan)
        let entries = decisions.map { decision -> PruneReport.Entry in
            let due = snapshot.standings[decision.bundle]?.mark?.at.adding(grace)
            let state: PruneReport.State =
                decision.action == .keep
                ? .kept : due.map { $0 <= snapshot.at ? .due : .marked } ?? .unmarked
            return PruneReport.Entry(
                decision: decision, state: state, due: decision.action == .keep ? nil : due,
                storedBytes: snapshot.manifests[decision.bundle]?.manifest.storedBytes)
        }
        let leftovers = snapshot.uncommitted.map { id -> PruneReport.Leftover in
            // The rest of a bundle whose manifest a prune removed needs no second grace time.
            if snapshot.standings[id]?.mark != nil { return .init(bundle: id, state: .due) }
            let due = id.started.adding(max(grace, RetentionTimes.dead))
            return .init(bundle: id, state: due <= snapshot.at ? .due : .kept, due: due)
        }
        return PruneReport(
            plan: request.plan.name, repository: repository.location, at: snapshot.at, applied: request.applies,
            graceSeconds: grace, bundles: entries, leftovers: leftovers, blockers: blockers,
            notes: snapshot.standings.values.flatMap(\.unbelieved).sorted())
    }

    /// Writes down what is to be removed, and takes back what a policy marked and now keeps: a later change of mind gets its
    /// whole grace time.
    private func mark(
        _ report: inout PruneReport, _ snapshot: RetentionSnapshot, _ request: Request
    ) async throws {
        progress.report(.phase("mark"))
        for index in report.bundles.indices {
            try Task.checkCancellation()
            let entry = report.bundles[index]
            let id = entry.decision.bundle
            let mark = snapshot.standings[id]?.mark
            let kind: RetentionRecord.Kind
            switch entry.state {
            case .unmarked: kind = .expired
            case .kept where mark?.kind == .expired: kind = .kept
            default: continue
            }
            guard let digest = try await digest(id, snapshot) else { continue }
            let record = RetentionRecord(
                bundle: id, manifest: digest, kind: kind, at: max(snapshot.at, mark?.at.adding(1) ?? snapshot.at),
                reason: entry.decision.reasons.map(\.text).joined(separator: "; "), host: request.host,
                tool: request.tool)
            let made = try await repository.record(record, plan: request.plan)
            guard kind == .expired else { continue }
            report.bundles[index].state = .marked
            report.bundles[index].due = made.at.adding(report.graceSeconds)
        }
    }

    private func digest(_ id: BundleID, _ snapshot: RetentionSnapshot) async throws -> SHA256Digest? {
        if let known = snapshot.manifests[id]?.sha256 { return known }
        return try await repository.manifestDigest(id)
    }

    /// Removes what is due, once everything was looked at anew: what was committed, held or taken back meanwhile counts.
    /// Looks again whenever its last look is too old to act on.
    private func sweep(
        _ report: inout PruneReport, _ first: RetentionSnapshot, _ request: Request, _ checks: PruneChecks
    ) async throws {
        guard report.hasDue || report.leftovers.contains(where: { $0.state == .due }) else { return }
        progress.report(.phase("remove"))
        var look = first
        repeat {
            let due = report.bundles.count { $0.state == .due }
            look = try await removeDue(&report, look, request, checks)
            // Another look would take as long, and be as old.
            guard report.bundles.count(where: { $0.state == .due }) < due || !report.blockers.isEmpty || due == 0 else {
                throw Failure(
                    .pruneRefused,
                    "a look at every bundle's manifest and records takes longer than "
                        + "\(Int(RetentionTimes.look / 60)) minutes, and is too old to act on by then",
                    hint: "Nothing was removed; prune from a host that is nearer to the store, or less busy.")
            }
        } while report.blockers.isEmpty && report.hasDue
        guard report.blockers.isEmpty else { return }
        try await clear(&report)
    }

    /// Removes what is due for as long as one look is good for.
    ///
    /// - Returns: what it saw.
    private func removeDue(
        _ report: inout PruneReport, _ first: RetentionSnapshot, _ request: Request, _ checks: PruneChecks
    ) async throws -> RetentionSnapshot {
        let snapshot = try await RetentionSnapshot.load(
            request.plan, from: repository, at: clock.now(), known: first.manifests)
        let decisions = Retention.decide(snapshot.bundles, policy: request.plan.policy, now: snapshot.at)
        report.blockers = try await checks.blockers(snapshot, decisions, expected: first.bundles.map(\.id))
        guard report.blockers.isEmpty else { return snapshot }
        var remaining = Set(snapshot.bundles.map(\.id))
        var users: [BundleID: [BundleID]] = [:]
        for bundle in snapshot.bundles { for base in bundle.bases { users[base, default: []].append(bundle.id) } }
        let standing = Dictionary(uniqueKeysWithValues: decisions.map { ($0.bundle, $0) })
        // Newest first: what refers to a base goes before it.
        for index in report.bundles.indices.reversed() where report.bundles[index].state == .due {
            try Task.checkCancellation()
            guard clock.now().seconds(since: snapshot.at) < RetentionTimes.look else { break }
            let id = report.bundles[index].decision.bundle
            guard remaining.contains(id) else {
                report.bundles[index].state = .removed
                continue
            }
            guard let decision = standing[id], decision.action == .remove, let mark = snapshot.standings[id]?.mark,
                mark.at.adding(report.graceSeconds) <= snapshot.at
            else {
                report.bundles[index].state = .kept
                if let decision = standing[id] { report.bundles[index].decision = decision }
                report.bundles[index].due = nil
                continue
            }
            if let user = users[id]?.last(where: { remaining.contains($0) }) {
                retain(&report.bundles[index], "\(user), which refers to it, is still there")
                continue
            }
            // A bucket with versions would say that a locked object is gone, and only hide it: so nobody asks before its time.
            if let lock = try await lock(of: id) {
                retain(&report.bundles[index], lock.text, lock)
                continue
            }
            do {
                let outcome = try await repository.remove(id)
                remaining.remove(id)
                report.bundles[index].state = .removed
                if outcome.failure != nil {
                    var leftover = PruneReport.Leftover(bundle: id, state: .retained)
                    leftover.take(outcome, at: clock.now())
                    report.leftovers.append(leftover)
                }
            } catch let failure as Failure where failure.code == .storageDenied || failure.code == .storageFailed {
                retain(
                    &report.bundles[index],
                    failure.summary + expectedLock(request.plan, snapshot.manifests[id]?.manifest))
            }
        }
        try memory.setKnownBundles(remaining.sorted())
        return snapshot
    }

    private func retain(_ entry: inout PruneReport.Entry, _ reason: String, _ lock: ObjectRetention? = nil) {
        entry.state = .retained
        entry.retained = reason
        entry.lock = lock
    }

    /// The lock that is on a bundle now; nil: none, or none that anybody may know of.
    private func lock(of id: BundleID) async throws -> ObjectRetention? {
        do {
            guard let lock = try await repository.retention(of: id) else { return nil }
            return lock.isLocked(at: clock.now()) ? lock : nil
        } catch let failure as Failure where failure.code == .storageDenied || failure.code == .storageFailed {
            // Deleting is another right than knowing.
            return nil
        }
    }

    /// What the plan says of locks, where the store says nothing.
    private func expectedLock(_ plan: Plan, _ manifest: Manifest?) -> String {
        guard let lock = plan.repository.s3.objectLock, let manifest else { return "" }
        let until = manifest.finished.adding(lock.days * 86400)
        return until > clock.now()
            ? "; by the plan's object-lock of \(lock.days) days it is locked until about \(until)" : ""
    }

    /// Removes what dead runs and unfinished removals left.
    private func clear(_ report: inout PruneReport) async throws {
        for index in report.leftovers.indices where report.leftovers[index].state == .due {
            try Task.checkCancellation()
            guard let outcome = try await repository.removeUncommitted(report.leftovers[index].bundle) else {
                report.leftovers[index].state = .kept
                continue
            }
            report.leftovers[index].take(outcome, at: clock.now())
        }
    }
}

extension Timestamp {
    /// So many seconds later.
    func adding(_ seconds: Int) -> Timestamp {
        Timestamp(seconds: self.seconds + Int64(seconds), nanoseconds: nanoseconds)
    }
}
