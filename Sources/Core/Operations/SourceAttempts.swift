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
            progress.report(
                .note(
                    "source '\(source.name)': attempt \(made) of \(source.retries + 1) failed, next in "
                        + "\(TimeLimit.text(source.retryDelay)): \(failure.summary)"))
            do {
                try await Task.sleep(for: .seconds(source.retryDelay))
                try await discard()
            } catch {
                return .failure(described(Failure.wrapping(error, as: .sourceFailed)))
            }
            made += 1
        }
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

    private func described(_ failure: Failure) -> Failure {
        let attempts = made > 1 ? " (after \(made) attempts)" : ""
        // A preflight names its source itself.
        let name = "source '\(source.name)'"
        let summary = failure.summary.hasPrefix(name) ? failure.summary : "\(name): \(failure.summary)"
        return Failure(failure.code, summary + attempts, hint: failure.hint)
    }
}
