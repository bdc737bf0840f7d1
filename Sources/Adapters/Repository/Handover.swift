// SPDX-License-Identifier: Apache-2.0
public import Domain
import LocalState

/// What a host that may only put goes by: what it, or another host, once found out of the repository.
extension FormatRepository: HandoverRepository {
    public func handover(at now: Timestamp) async throws -> RepositoryHandover {
        var descriptor = try await descriptor()
        // Whoever signs there need not be the one who made the repository.
        descriptor.signers = try await signers().filter { $0.problem == nil }.map(\.fingerprint)
        var newest: [String: Manifest.Previous] = [:]
        for plan in try await store.folders(under: "bundles/") {
            guard let last = try await bundles(plan: plan).last else { continue }
            do {
                newest[plan] = Manifest.Previous(id: last, sha256: try await manifest(last).sha256)
            } catch let failure as Failure where [.integrity, .key].contains(failure.code.exitStatus) {
                // A chain does not go on from what does not count: it begins anew there, and says so.
            }
        }
        return RepositoryHandover(location: location, descriptor: descriptor, newest: newest, at: now)
    }

    public func accept(_ handover: RepositoryHandover) throws {
        guard handover.format <= currentFormat, handover.descriptor.format <= currentFormat else {
            throw Failure(.formatTooNew, "what was handed over is of a newer format", hint: "Use a newer salvor.")
        }
        let known = KnownRepositories(state)
        if let other = try known.repository(at: location), other.descriptor.id != handover.descriptor.id {
            throw Failure(
                .conflict,
                "this host knows repository \(other.descriptor.id) at \(location), not \(handover.descriptor.id)",
                hint: "Check the plan's repository.store; if the repository was made anew, use another --state-dir.")
        }
        try known.note(handover, at: location)
        for (plan, newest) in handover.newest {
            let own = PlanState(state, repository: handover.descriptor.id, plan: plan)
            if let last = try own.lastCommitted(), last.id >= newest.id { continue }
            try own.setLastCommitted(newest)
        }
    }

    /// The descriptor as this host remembers it.
    func remembered() throws -> RepositoryDescriptor {
        guard let known = try KnownRepositories(state).repository(at: location) else {
            throw Failure(
                .preflightRefused,
                "this host knows nothing of the repository at \(location), and its plan may only put there",
                hint: "Run 'salvor init --hand-over FILE' where it may be read, and 'salvor init --accept FILE' here.")
        }
        return known.descriptor
    }

    /// Notes the descriptor for the day on which this host may only put.
    func remember(_ descriptor: RepositoryDescriptor, _ progress: any ProgressListener) {
        guard access == .full else { return }
        do {
            let known = KnownRepositories(state)
            guard try known.repository(at: location)?.descriptor != descriptor else { return }
            try known.note(
                RepositoryHandover(
                    location: location, descriptor: descriptor, newest: [:], at: descriptor.created),
                at: location)
        } catch {
            // Of no use to this run.
            progress.report(.note("the repository is not remembered: \(Failure.wrapping(error).summary)"))
        }
    }
}
