// SPDX-License-Identifier: Apache-2.0

/// Work that may not take for ever.
enum Patience {
    struct Spent: Error {}

    /// Cancels `body` after `seconds` and throws `Spent`.
    static func run<Result: Sendable>(
        seconds: Int, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: .seconds(seconds))
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else { throw Spent() }
            return result
        }
    }
}
