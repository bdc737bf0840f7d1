// SPDX-License-Identifier: Apache-2.0
import Domain
import Retention

/// What stands against removing anything: each check would rather keep too much.
struct PruneChecks: Sendable {
    let repository: any RetentionRepository
    let memory: any RetentionMemory
    let plan: Plan

    /// - Parameter expected: bundles that must be there or be gone for a reason.
    func blockers(
        _ snapshot: RetentionSnapshot, _ decisions: [RetentionDecision], expected: [BundleID]
    ) async throws -> [PruneReport.Blocker] {
        guard !snapshot.bundles.isEmpty else {
            return [
                .init(
                    "listing-empty", "the store lists no bundle of plan '\(plan.name)'",
                    "Check the plan's repository.store; make a bundle with 'salvor backup \(plan.name)'.")
            ]
        }
        var blockers: [PruneReport.Blocker] = []
        let missing = try await snapshot.unexplained(expected, repository)
        if let first = missing.first {
            let more = missing.count > 1 ? " and \(missing.count - 1) more" : ""
            blockers.append(
                .init(
                    "listing-shrank",
                    "the store does not list \(first)\(more), seen here before, and no signed record says why",
                    "Find out who removed it; if it is gone for good, 'salvor prune --forget-missing' accepts that."))
        }
        let damaged = snapshot.bundles.filter { !$0.isReadable && $0.deletion == nil }
        if let first = damaged.first {
            let reason = snapshot.unreadable[first.id].map { ": \($0.summary)" } ?? ""
            blockers.append(
                .init(
                    "unreadable",
                    "\(damaged.count) manifests do not count, so what they refer to is unknown; the first is "
                        + "\(first.id)\(reason)",
                    "Look at it with 'salvor validate-backup'; 'salvor delete ID' gives it up."))
        }
        guard decisions.contains(where: { $0.action == .remove }) else { return blockers }
        if let failure = try await lastRunFailure(snapshot) {
            blockers.append(
                .init("last-run-failed", failure, "Make a good bundle first: 'salvor backup \(plan.name)'."))
        }
        return blockers + (try await survivors(snapshot, decisions))
    }

    /// The plan may be backed up by another host than the one that prunes: the younger of the last run here and the last one
    /// that any host recorded counts.
    private func lastRunFailure(_ snapshot: RetentionSnapshot) async throws -> String? {
        let own = try memory.lastRun()
        let recorded = try await repository.lastBackup(plan: plan.name, at: snapshot.at).map { LastRun($0) }
        // Of one's own run, what is remembered here is as young as its record.
        let last = [recorded, own].compactMap { $0 }.max { $0.started < $1.started }
        if let failure = last?.failure { return failure }
        let newest = snapshot.bundles.last { !$0.isImported && $0.deletion == nil && $0.isReadable }
        guard let newest, snapshot.manifests[newest.id]?.manifest.state == .partial else { return nil }
        return "the plan's last bundle \(newest.id) is partial"
    }

    /// Enough good ones must stay, and whoever restores must be able to read them.
    private func survivors(
        _ snapshot: RetentionSnapshot, _ decisions: [RetentionDecision]
    ) async throws -> [PruneReport.Blocker] {
        let minimum = plan.policy?.minimumGood ?? 1
        let good = decisions.filter { $0.action == .keep && $0.isGood }.map(\.bundle)
        guard good.count >= minimum else {
            let level = plan.policy?.minimumProof.map { " proven at level \($0.rawValue)" } ?? ""
            return [
                .init(
                    "minimum-good", "only \(good.count) good bundles\(level) would stay, fewer than \(minimum)",
                    "Make more, or validate those that are there; 'minimum-good' of the plan's retention is the number."
                )
            ]
        }
        let recipients = try await repository.recipients(of: plan)
        let opened = good.filter { isOpened($0, by: recipients, snapshot) }
        guard opened.count < minimum else { return [] }
        return [
            .init(
                "recipients",
                "only \(opened.count) of the good bundles that would stay can be decrypted by a recipient of the plan, "
                    + "fewer than \(minimum)",
                "Keep the older bundles until enough new ones are there, or name the old recipient in the plan again.")
        ]
    }

    /// Whether for each source there is one recipient who can open it and its bases.
    private func isOpened(_ id: BundleID, by recipients: Set<String>, _ snapshot: RetentionSnapshot) -> Bool {
        guard let manifest = snapshot.manifests[id]?.manifest else { return false }
        return manifest.sources.filter { $0.state == .ok }.allSatisfy { source in
            var able = recipients.intersection(manifest.recipients(of: source.name))
            for base in Set(source.streams.compactMap(\.base)) {
                guard let found = snapshot.manifests[base]?.manifest else { return false }
                able.formIntersection(found.recipients(of: source.name))
            }
            return !able.isEmpty
        }
    }
}
