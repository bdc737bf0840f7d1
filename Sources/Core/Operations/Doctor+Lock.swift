// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Object lock: whether it fits how long bundles live, and whether this host could delete all the same.
extension Doctor {
    /// A delta's base may be this old when the delta is made (docs/format.md).
    private static let oldestBaseDays = 30

    func lockChecks(_ plan: Plan, _ repository: any BundleRepository) async -> [Check] {
        let (checks, isLocked) = await lockTerms(plan, repository)
        guard isLocked else { return checks }
        let deletion = await deletionCheck(
            repository, "these credentials may delete; locked versions stay, but bundles could be hidden")
        return checks + [deletion]
    }

    /// Whether the bucket locks as the plan takes for granted, and whether that fits how long bundles live. The repository
    /// need not be made yet.
    public func lockTerms(
        _ plan: Plan, _ repository: any BundleRepository
    ) async -> (checks: [Check], isLocked: Bool) {
        let wanted = plan.repository.s3.objectLock
        let (bucket, found) = await bucketCheck(wanted, repository)
        var checks = [bucket].compactMap { $0 }
        guard let days = wanted?.days ?? found else { return (checks, false) }
        checks.append(Self.lockAgainstPolicy(days, plan.policy))
        if plan.keepsLocalBase { checks.append(Self.lockOfBases(days)) }
        return (checks, true)
    }

    /// All that can be told of a repository that this host may only put into.
    func putOnlyChecks(_ descriptor: RepositoryDescriptor, _ repository: any BundleRepository) async -> [Check] {
        [
            Check(
                "access", .ok,
                "put-only: repository \(descriptor.id) at \(repository.location), as this host remembers it; what is in it is "
                    + "for another host to look at"),
            await deletionCheck(repository, "these credentials may delete, although the plan only puts"),
        ]
    }

    private func deletionCheck(_ repository: any BundleRepository, _ warning: String) async -> Check {
        do {
            return try await repository.canDelete()
                ? Check(
                    "deletion", .warning, warning,
                    remedy: "Take the right to delete from this host's key, and prune from another one with its own.")
                : Check("deletion", .ok, "these credentials may not delete")
        } catch {
            let failure = Failure.wrapping(error)
            return Check("deletion", .warning, "not found out: \(failure.summary)", remedy: failure.hint)
        }
    }

    /// Whether the bucket does what the plan takes for granted, and the days of its own rule, if it has one.
    private func bucketCheck(
        _ wanted: (mode: String, days: Int)?, _ repository: any BundleRepository
    ) async -> (check: Check?, days: Int?) {
        let name = "object lock of the bucket"
        let lock: BucketLock
        do {
            guard let found = try await repository.bucketLock() else { return (nil, nil) }
            lock = found
        } catch {
            let failure = Failure.wrapping(error)
            return (Check(name, .warning, "not found out: \(failure.summary)", remedy: failure.hint), nil)
        }
        switch lock {
        case .off where wanted != nil:
            return (
                Check(
                    name, .failed, "it is off, while the plan asks for locked objects: the store refuses them",
                    remedy:
                        "Object lock is switched on when a bucket is made: make another, or leave 'object-lock' out.",
                    code: .configuration), nil
            )
        case .off:
            return (Check(name, .ok, "off: whoever may delete can remove bundles"), nil)
        case .on(let mode, let days?):
            return (Check(name, .ok, "on; new objects are locked for \(days) days (\(mode ?? "no mode"))"), days)
        case .on where wanted != nil:
            return (Check(name, .ok, "on"), nil)
        case .on:
            return (
                Check(
                    name, .warning, "on, but nothing is locked: the bucket has no rule, and the plan asks for no lock",
                    remedy: "Say 'object-lock: {mode: compliance, days: 35}' in the plan's repository.s3."), nil
            )
        case .unknown(let reason):
            // Where nobody asked for a lock, not knowing is no news.
            guard wanted != nil else { return (nil, nil) }
            return (Check(name, .warning, "not found out: \(reason)", remedy: "Ask with a key that may."), nil)
        }
    }

    static func lockAgainstPolicy(_ days: Int, _ policy: RetentionPolicy?) -> Check {
        guard let term = policy.flatMap(shortestTerm) else {
            return Check("object lock", .ok, "\(days) days; no policy lets a bundle go after a time of its own")
        }
        let kept = term / 86_400
        guard days > kept else {
            let longest = policy?.longestTerm.map { $0 / 86_400 } ?? 0
            let rest = longest > days ? "; what is kept for \(longest) days is not locked after that" : ""
            return Check("object lock", .ok, "\(days) of the \(kept) days that each bundle is kept at least\(rest)")
        }
        return Check(
            "object lock", .warning,
            "\(days) days, while the policy lets bundles go after \(kept): until then they are retained, and paid for",
            remedy: "Shorten 'object-lock.days', or keep bundles longer.")
    }

    private static func lockOfBases(_ days: Int) -> Check {
        days > oldestBaseDays
            ? Check(
                "object lock of bases", .ok,
                "a base is used for up to \(oldestBaseDays) days, so a bundle can be restored for at least "
                    + "\(days - oldestBaseDays) days whatever is deleted")
            : Check(
                "object lock of bases", .warning,
                "a base is used for up to \(oldestBaseDays) days, so it may be unlocked while young bundles need it",
                remedy: "Lock for more than \(oldestBaseDays) days, or make fulls only (local-base: off).")
    }

    /// Seconds that any bundle of one a day is kept at least; nil: not to be told in advance.
    static func shortestTerm(_ policy: RetentionPolicy) -> Int? {
        ([policy.rules] + policy.tags.values).compactMap(shortestTerm).min()
    }

    private static func shortestTerm(_ rules: RetentionRules) -> Int? {
        guard !rules.isForever else { return nil }
        // Of the coarser periods only some bundles are kept.
        let finest = rules.periods.first { $0.period != .last && $0.period != .hourly }.map { rule in
            switch rule.extent {
            case .count(let count): count * rule.period.days * 86_400
            case .seconds(let seconds): seconds
            }
        }
        return [rules.within, finest].compactMap { $0 }.max()
    }
}

extension RetentionPolicy {
    /// Seconds that a bundle is kept at most by the rules; nil: some are kept for ever, or no rule speaks of time.
    var longestTerm: Int? {
        let all = [rules] + tags.values
        guard !all.contains(where: \.isForever) else { return nil }
        return all.flatMap { rules in
            [rules.within].compactMap { $0 }
                + rules.periods.filter { $0.period != .last && $0.period != .hourly }.map { rule in
                    switch rule.extent {
                    case .count(let count): count * rule.period.days * 86_400
                    case .seconds(let seconds): seconds
                    }
                }
        }.max()
    }
}

extension RetentionPeriod {
    /// Days that one of it has, about.
    fileprivate var days: Int {
        switch self {
        case .last, .hourly, .daily: 1
        case .weekly: 7
        case .monthly: 30
        case .quarterly: 91
        case .yearly: 365
        }
    }
}
