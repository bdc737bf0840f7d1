// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// Freezes the sources of a recovery group: all of them at the same time, or none.
///
/// When one fails, the others are released, and all are tried again as long as that one has attempts left. When it has
/// none, the others are frozen without it: what they have in common is still worth more than nothing, and the bundle is
/// partial. Once frozen, a source has no further attempt: its moment is gone.
struct GroupFreeze: Sendable {
    struct Member: Sendable {
        var settings: SourceSettings
        var adapter: any FreezingAdapter

        var name: String { settings.name }
    }

    /// What is frozen, and what is not.
    struct Outcome: Sendable {
        var frozen: [String: any FrozenSource] = [:]
        var failures: [String: Failure] = [:]
        var attempts: [String: SourceAttempts]
        /// When the application was paused.
        var paused: ClockInterval?
        /// Why it may still be.
        var unresumed: Failure?
    }

    let plan: Plan
    let quiescing: Quiescing?
    let clock: any WallClock
    let progress: any ProgressListener

    /// - Throws: `CancellationError`, or `Failure(.preflightRefused)` when the application cannot be paused; nothing is
    ///   frozen or paused then.
    func run(_ members: [Member], _ attempts: [String: SourceAttempts]) async throws -> Outcome {
        var members = members
        var outcome = Outcome(attempts: attempts)
        while !members.isEmpty {
            switch try await round(members, &outcome) {
            case .success(let frozen):
                outcome.frozen = frozen
                return outcome
            case .failure(let broken):
                var own = outcome.attempts[broken.source] ?? SourceAttempts(broken.settings, progress)
                if await own.prepareNext(after: broken.failure) {
                    outcome.attempts[broken.source] = own
                } else {
                    try Task.checkCancellation()
                    outcome.failures[broken.source] = own.described(broken.failure)
                    members.removeAll { $0.name == broken.source }
                    if !members.isEmpty {
                        progress.report(.note("the recovery group goes on without source '\(broken.source)'"))
                    }
                }
            }
            try Task.checkCancellation()
        }
        return outcome
    }

    private struct Broken: Error {
        var settings: SourceSettings
        var failure: Failure
        var source: String { settings.name }
    }

    /// One attempt at all members; nothing is left frozen or paused when one fails.
    private func round(
        _ members: [Member], _ outcome: inout Outcome
    ) async throws -> Result<[String: any FrozenSource], Broken> {
        let leads = await leads(members)
        guard let quiesce = plan.quiesce else { return try await freeze(members, leads, outcome.attempts, until: nil) }
        guard let quiescing else { throw Failure(.internalError, "nobody is there to pause the application") }
        let from = clock.now()
        let deadline = ContinuousClock.now + .seconds(quiesce.timeLimit)
        let paused = try await quiescing.pause(quiesce, plan, progress)
        let result: Result<[String: any FrozenSource], Broken>
        do {
            result = try await freeze(members, leads, outcome.attempts, until: deadline)
        } catch {
            if let failure = await Quiescing.resume(paused) { progress.report(.note(failure.summary)) }
            throw error
        }
        outcome.unresumed = await Quiescing.resume(paused)
        outcome.paused = ClockInterval(from: from, to: clock.now())
        if let failure = outcome.unresumed { progress.report(.note(failure.summary)) }
        return result
    }

    /// The longest that a source waits for a slower one.
    private static let longestLead = 30.0

    /// How many seconds each member is to wait before it freezes, so that all are fixed at about the same time.
    private func leads(_ members: [Member]) async -> [String: Double] {
        guard members.count > 1 else { return [:] }
        let own = await withTaskGroup(of: (String, Double).self) { group in
            for member in members { group.addTask { (member.name, await member.adapter.freezeLead()) } }
            return await group.reduce(into: [String: Double]()) { $0[$1.0] = min($1.1, Self.longestLead) }
        }
        let longest = own.values.max() ?? 0
        return own.mapValues { longest - $0 }
    }

    private func freeze(
        _ members: [Member], _ leads: [String: Double], _ attempts: [String: SourceAttempts],
        until deadline: ContinuousClock.Instant?
    ) async throws -> Result<[String: any FrozenSource], Broken> {
        var frozen: [String: any FrozenSource] = [:]
        var broken: Broken?
        await withTaskGroup(of: (Member, Result<any FrozenSource, Failure>).self) { group in
            for member in members {
                let wait = leads[member.name] ?? 0
                group.addTask { (member, await one(member, after: wait, attempts[member.name], until: deadline)) }
            }
            for await (member, result) in group {
                switch result {
                case .success(let source): frozen[member.name] = source
                case .failure(let failure):
                    // Those that are cancelled because of the first one are no failures of their own.
                    if broken == nil { broken = Broken(settings: member.settings, failure: failure) }
                    group.cancelAll()
                }
            }
        }
        guard broken != nil || Task.isCancelled else { return .success(frozen) }
        for (name, source) in frozen { await release(source, of: name) }
        try Task.checkCancellation()
        if let broken { return .failure(broken) }
        throw CancellationError()
    }

    private func one(
        _ member: Member, after seconds: Double, _ attempts: SourceAttempts?, until deadline: ContinuousClock.Instant?
    ) async -> Result<any FrozenSource, Failure> {
        let caught = CaughtSource()
        do {
            let own = attempts ?? SourceAttempts(member.settings, progress)
            return .success(
                try await own.limited(
                    until: deadline,
                    or: Failure(
                        .sourceFailed,
                        "was not frozen within the \(TimeLimit.text(plan.quiesce?.timeLimit ?? 0)) that the application "
                            + "may be paused", hint: "Find out what it waits for, or raise 'quiesce.time-limit'.")
                ) {
                    if seconds > 0 { try await Task.sleep(for: .seconds(seconds)) }
                    let source = try await member.adapter.freeze()
                    caught.set(source)
                    return source
                })
        } catch {
            // It may have been frozen at the very moment its time was over.
            if let source = caught.source { await release(source, of: member.name) }
            return .failure(Failure.wrapping(error, as: .sourceFailed))
        }
    }

    /// Releases what was frozen, also when this task is cancelled. A failure is told: the source notes what it left, and
    /// its next run tries again.
    func release(_ source: any FrozenSource, of name: String) async {
        await Task {
            do { try await source.release() } catch {
                progress.report(
                    .note(
                        "source '\(name)': what was frozen could not be released: \(Failure.wrapping(error).summary)"))
            }
        }.value
    }
}

/// A frozen source that nobody may lose.
private final class CaughtSource: Sendable {
    private let kept = Mutex<(any FrozenSource)?>(nil)

    var source: (any FrozenSource)? { kept.withLock { $0 } }

    func set(_ source: any FrozenSource) { kept.withLock { $0 = source } }
}
