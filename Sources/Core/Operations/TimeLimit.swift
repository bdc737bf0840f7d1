// SPDX-License-Identifier: Apache-2.0
import Domain

/// Ends work that takes longer than it may.
enum TimeLimit {
    /// Runs `body`; at `deadline` it is cancelled like a task, and `failure` is thrown once it has ended.
    ///
    /// - Parameter deadline: nil: none.
    static func run<Result: Sendable>(
        until deadline: ContinuousClock.Instant?, or failure: Failure,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        guard let deadline else { return try await body() }
        return try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(until: deadline, clock: .continuous)
                throw failure
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw failure }
            return first
        }
    }

    /// A number of seconds for people, exact: `90s`, `5m`, `2h`.
    static func text(_ seconds: Int) -> String {
        if seconds > 0, seconds.isMultiple(of: 3600) { return "\(seconds / 3600)h" }
        if seconds > 0, seconds.isMultiple(of: 60) { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }
}
