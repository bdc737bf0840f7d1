// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Tells of every plan whether it holds what it promised.
public struct Status: Sendable {
    let clock: any WallClock

    public init(clock: any WallClock) {
        self.clock = clock
    }

    /// One plan's state.
    public struct Entry: Sendable, Codable, Equatable {
        public var plan: String
        public var repository: String
        /// The newest complete bundle.
        public var lastGood: BundleID?
        /// Its age in seconds.
        public var ageSeconds: Int?
        /// The newest bundle of any state.
        public var last: BundleID?
        public var objectiveSeconds: Int?
        public var bundles: Int
        public var storedBytes: UInt64
        /// How far the newest complete bundle is proven, by records whose signatures were checked.
        public var proof: ProofStanding?
        /// Why an operator should look; empty: all is well.
        public var problems: [String]
    }

    public func entry(_ plan: Plan, _ repository: any BundleRepository) async -> Entry {
        var entry = Entry(
            plan: plan.name, repository: repository.location, objectiveSeconds: plan.objectives.recoveryPoint,
            bundles: 0,
            storedBytes: 0, problems: [])
        let summaries: [BundleSummary]
        do {
            _ = try await repository.descriptor()
            summaries = try await repository.summaries(plan: plan.name)
        } catch {
            entry.problems.append(Failure.wrapping(error).summary)
            return entry
        }
        do {
            // Withholding the newest bundles leaves a repository that looks whole; only memory misses them.
            if let last = try await repository.lastCommitted(plan: plan.name),
                !summaries.contains(where: { $0.id == last })
            {
                entry.problems.append("\(last), the last bundle this host committed, is gone from the repository")
            }
        } catch { entry.problems.append(Failure.wrapping(error).summary) }
        var manifests: [Manifest] = []
        for summary in summaries {
            switch summary.manifest {
            case .success(let manifest): manifests.append(manifest)
            case .failure(let failure): entry.problems.append("\(summary.id): \(failure.summary)")
            }
        }
        entry.bundles = summaries.count
        entry.storedBytes = manifests.reduce(0) { $0 + $1.storedBytes }
        entry.last = summaries.last?.id
        guard let good = manifests.last(where: { $0.state == .complete }) else {
            entry.problems.append("no complete bundle yet")
            return entry
        }
        // The newest one counts, so it is worth its signature check.
        do {
            let signed = try await repository.manifest(good.id)
            let proof = try await repository.standing(of: signed, at: clock.now()).standing
            entry.proof = proof
            if let found = proof.problems {
                entry.problems.append(
                    "a validation of \(good.id) at level \(found.level.rawValue) found problems, at \(found.at)")
            }
        } catch {
            entry.problems.append(Failure.wrapping(error).summary)
        }
        entry.lastGood = good.id
        let age = Int(clock.now().seconds(since: good.started))
        entry.ageSeconds = age
        if age < -300 { entry.problems.append("the newest bundle is from the future: check this host's clock") }
        if let objective = plan.objectives.recoveryPoint, age > objective {
            entry.problems.append("the newest complete bundle is older than the recovery-point objective")
        }
        if let last = manifests.last, last.state == .partial {
            let failed = last.sources.filter { $0.state == .failed }.map(\.name)
            entry.problems.append("the newest bundle is partial, without \(failed.joined(separator: ", "))")
        }
        return entry
    }
}
