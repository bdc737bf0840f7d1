// SPDX-License-Identifier: Apache-2.0
import Domain

/// Object lock: whether it fits how long bundles live, and whether this host could delete all the same.
extension Doctor {
    /// A delta's base may be this old when the delta is made (docs/format.md).
    private static let oldestBaseDays = 30

    func lockChecks(_ plan: Plan, _ repository: any BundleRepository) async -> [Check] {
        guard let lock = plan.repository.s3.objectLock else { return [] }
        var checks = [Self.lockAgainstPolicy(lock.days, plan.policy)]
        if plan.keepsLocalBase { checks.append(Self.lockOfBases(lock.days)) }
        do {
            let canDelete = try await repository.canDelete()
            checks.append(
                canDelete
                    ? Check(
                        "deletion", .warning,
                        "these credentials may delete; locked versions stay, but bundles could be hidden",
                        remedy:
                            "Take the right to delete from this host's key, and prune from another one with its own.")
                    : Check("deletion", .ok, "these credentials may not delete"))
        } catch {
            let failure = Failure.wrapping(error)
            checks.append(Check("deletion", .warning, "not found out: \(failure.summary)", remedy: failure.hint))
        }
        return checks
    }

    static func lockAgainstPolicy(_ days: Int, _ policy: RetentionPolicy?) -> Check {
        guard let term = policy.flatMap(shortestTerm) else {
            return Check("object lock", .ok, "\(days) days; no policy lets a bundle go after a time of its own")
        }
        let kept = term / 86_400
        guard days > kept else {
            return Check("object lock", .ok, "\(days) of the \(kept) days that each bundle is kept at least")
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
            case .count(let count): count * days(rule.period) * 86_400
            case .seconds(let seconds): seconds
            }
        }
        return [rules.within, finest].compactMap { $0 }.max()
    }

    private static func days(_ period: RetentionPeriod) -> Int {
        switch period {
        case .last, .hourly, .daily: 1
        case .weekly: 7
        case .monthly: 30
        case .quarterly: 91
        case .yearly: 365
        }
    }
}
