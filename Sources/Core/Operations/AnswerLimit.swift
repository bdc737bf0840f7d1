// SPDX-License-Identifier: Apache-2.0
import Domain

/// Ends the waiting for something that may never answer.
enum AnswerLimit {
    /// What `body` gives, if it does within `limit`; nil: however long it takes. A body that goes on although it was
    /// cancelled, as a call into a file system that hangs does, is left behind.
    ///
    /// - Throws: what `body` throws; `Failure(.storageUnreachable)` when time is up; `CancellationError`.
    static func run<Value: Sendable>(
        _ limit: Duration?, _ what: String, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        guard let limit else { return try await body() }
        let (answers, answer) = AsyncStream<Result<Value, any Error>>.makeStream()
        let work = Task {
            do { answer.yield(.success(try await body())) } catch { answer.yield(.failure(error)) }
        }
        let timer = Task {
            try await Task.sleep(for: limit)
            answer.yield(
                .failure(
                    Failure(
                        .storageUnreachable, "\(what) did not answer within \(limit.components.seconds) s",
                        hint: "Look at the network and at the store; a slow one may need a longer --timeout.")))
        }
        defer {
            work.cancel()
            timer.cancel()
        }
        for await first in answers { return try first.get() }
        throw CancellationError()
    }
}
