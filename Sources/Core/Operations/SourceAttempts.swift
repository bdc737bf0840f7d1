// SPDX-License-Identifier: Apache-2.0
import Domain

/// The attempts and the time that one source has, from its preflight to the end of its capture.
struct SourceAttempts: Sendable {
    let source: SourceSettings
    let progress: any ProgressListener
    /// Attempts begun.
    private(set) var made = 1
    private let deadline: ContinuousClock.Instant?

    init(_ source: SourceSettings, _ progress: any ProgressListener) {
        self.source = source
        self.progress = progress
        deadline = source.timeLimit.map { ContinuousClock.now + .seconds($0) }
    }

    /// Runs `body` until it succeeds or no attempt or time is left. Before another attempt, and after the wait for it,
    /// `discard` removes what the last one left.
    mutating func run<Result: Sendable>(
        discarding discard: () async throws -> Void = {}, _ body: @escaping @Sendable () async throws -> Result
    ) async -> Swift.Result<Result, Failure> {
        while true {
            let failure: Failure
            do {
                return .success(try await TimeLimit.run(until: deadline, or: tooLong, body))
            } catch {
                failure = Failure.wrapping(error, as: .sourceFailed)
            }
            guard mayTryAgain(after: failure) else { return .failure(described(failure)) }
            do {
                try await wait(after: failure)
                try await discard()
            } catch {
                return .failure(described(Failure.wrapping(error, as: .sourceFailed)))
            }
            made += 1
        }
    }

    /// Runs `body` once, within the time that is left and before `earlier`, at which `failure` is thrown.
    func limited<Result: Sendable>(
        until earlier: ContinuousClock.Instant? = nil, or failure: Failure? = nil,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let own = tooLong
        guard let earlier, let failure else { return try await TimeLimit.run(until: deadline, or: own, body) }
        guard let deadline, deadline < earlier else {
            return try await TimeLimit.run(until: earlier, or: failure, body)
        }
        return try await TimeLimit.run(until: deadline, or: own, body)
    }

    /// As `run`, without a further attempt.
    func once<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async -> Swift.Result<Result, Failure> {
        do { return .success(try await limited(body)) } catch {
            return .failure(described(Failure.wrapping(error, as: .sourceFailed)))
        }
    }

    /// Counts and waits for another attempt, if there is one.
    mutating func prepareNext(after failure: Failure) async -> Bool {
        guard mayTryAgain(after: failure) else { return false }
        // Cancelled while it waited: there is no further attempt.
        do { try await wait(after: failure) } catch { return false }
        made += 1
        return true
    }

    private func wait(after failure: Failure) async throws {
        progress.report(
            .note(
                "source '\(source.name)': attempt \(made) of \(source.retries + 1) failed, next in "
                    + "\(TimeLimit.text(source.retryDelay)): \(failure.summary)"))
        try await Task.sleep(for: .seconds(source.retryDelay))
    }

    private func mayTryAgain(after failure: Failure) -> Bool {
        guard made <= source.retries, !Task.isCancelled else { return false }
        if let deadline, ContinuousClock.now + .seconds(source.retryDelay) >= deadline { return false }
        // A store has its own patience; keys, the plan and a signal stay what they are.
        return ![.storageUnreachable, .key, .usage, .interrupted, .integrity].contains(failure.code.exitStatus)
    }

    private var tooLong: Failure {
        Failure(
            .sourceFailed, "was stopped by its time limit of \(TimeLimit.text(source.timeLimit ?? 0))",
            hint: "Find out what it waits for, or raise 'time-limit' of the source.")
    }

    func described(_ failure: Failure) -> Failure {
        let attempts = made > 1 ? " (after \(made) attempts)" : ""
        // A preflight names its source itself.
        let name = "source '\(source.name)'"
        let summary = failure.summary.hasPrefix(name) ? failure.summary : "\(name): \(failure.summary)"
        return Failure(failure.code, summary + attempts, hint: failure.hint)
    }
}
