// SPDX-License-Identifier: Apache-2.0
import Domain

extension Backup {
    /// Captures every source side by side; those of a recovery group are frozen before anything is streamed.
    func capture(
        _ plan: Plan, _ adapters: [Pair], _ attempts: [String: SourceAttempts], _ refusals: [String: Failure],
        into writer: any BundleWriter
    ) async throws -> (outcomes: [SourceOutcome], group: RecoveryGroup?, unresumed: Failure?) {
        let freezing = GroupFreeze(plan: plan, quiescing: quiescing, clock: clock, progress: progress)
        let members = adapters.compactMap { pair -> GroupFreeze.Member? in
            guard plan.isTogether, pair.settings.freezes, refusals[pair.settings.name] == nil,
                let adapter = pair.adapter as? any FreezingAdapter
            else { return nil }
            return GroupFreeze.Member(settings: pair.settings, adapter: adapter)
        }
        if !members.isEmpty { progress.report(.phase("freeze")) }
        let group = try await freezing.run(members, attempts)
        if !members.isEmpty { progress.report(.phase("stream")) }
        let failed = refusals.merging(group.failures) { first, _ in first }
        // Every frozen source has its task, which releases it: nothing may throw between here and there.
        let outcomes = try await withThrowingTaskGroup(of: SourceOutcome.self) { tasks in
            for (settings, adapter) in adapters {
                let own = group.attempts[settings.name] ?? SourceAttempts(settings, progress)
                tasks.addTask {
                    let outcome: SourceOutcome
                    if let failure = failed[settings.name] {
                        outcome = SourceOutcome(
                            source: settings, started: clock.now(), finished: clock.now(), result: .failure(failure),
                            attempts: own.made)
                    } else if let frozen = group.frozen[settings.name] {
                        outcome = await capture(frozen, settings, own, freezing, into: writer)
                    } else {
                        outcome = await capture(adapter, settings, own, into: writer)
                    }
                    switch outcome.result {
                    case .success: progress.report(.sourceFinished(settings.name))
                    case .failure(let failure): progress.report(.sourceFailed(settings.name, failure))
                    }
                    try Task.checkCancellation()
                    return outcome
                }
            }
            var all: [SourceOutcome] = []
            for try await outcome in tasks { all.append(outcome) }
            return all
        }
        // A store that is full or gone fails the run, not one source.
        for outcome in outcomes {
            if case .failure(let failure) = outcome.result,
                [.storageUnreachable, .key].contains(failure.code.exitStatus)
            {
                throw failure
            }
        }
        let order = adapters.map(\.settings.name)
        let sorted = outcomes.sorted {
            (order.firstIndex(of: $0.source.name) ?? 0) < (order.firstIndex(of: $1.source.name) ?? 0)
        }
        return (sorted, try self.group(plan, sorted, paused: group.paused), group.unresumed)
    }

    private func capture(
        _ adapter: any SourceAdapter, _ settings: SourceSettings, _ attempts: SourceAttempts,
        into writer: any BundleWriter
    ) async -> SourceOutcome {
        let started = clock.now()
        var own = attempts
        progress.report(.sourceStarted(settings.name, estimatedBytes: nil))
        let result = await own.run(discarding: { await writer.discard(settings.name) }) {
            try await adapter.capture(into: writer.sink(for: settings.name))
        }
        return SourceOutcome(
            source: settings, started: started, finished: clock.now(), result: result, attempts: own.made)
    }

    /// Streams what is frozen and releases it, whether or not that worked.
    private func capture(
        _ frozen: any FrozenSource, _ settings: SourceSettings, _ attempts: SourceAttempts, _ freezing: GroupFreeze,
        into writer: any BundleWriter
    ) async -> SourceOutcome {
        let interval = ClockInterval(from: frozen.frozen.from, to: frozen.frozen.to)
        progress.report(.sourceStarted(settings.name, estimatedBytes: nil))
        let result = await attempts.once { try await frozen.capture(into: writer.sink(for: settings.name)) }
        await freezing.release(frozen, of: settings.name)
        return SourceOutcome(
            source: settings, started: interval.from, finished: clock.now(), result: result, attempts: attempts.made,
            frozen: interval, position: frozen.position)
    }

    /// How the captured sources relate; nil when the plan does not ask.
    private func group(
        _ plan: Plan, _ outcomes: [SourceOutcome], paused: ClockInterval?
    ) throws -> RecoveryGroup? {
        guard plan.isTogether else { return nil }
        let frozen = outcomes.compactMap { outcome -> (source: String, interval: ClockInterval)? in
            guard outcome.isCaptured, let interval = outcome.frozen else { return nil }
            return (outcome.source.name, interval)
        }
        let there = frozen.map(\.source)
        let missing = try plan.sources.filter { try !there.contains($0.name) && GroupRules.isMember($0, registry) }
        return RecoveryGroup(frozen: frozen, missing: missing.map(\.name), paused: paused)
    }
}
