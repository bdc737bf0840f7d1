// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A flag that blocking loops poll, set when their task is cancelled.
public final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    /// Asks the work to stop.
    public func cancel() {
        flag.store(true, ordering: .releasing)
    }

    /// Whether the work was asked to stop.
    public var isCancelled: Bool {
        flag.load(ordering: .acquiring)
    }

    /// Throws `CancellationError` once the work was asked to stop.
    public func check() throws {
        if isCancelled { throw CancellationError() }
    }

    /// Runs blocking work on a thread of its own with a flag that follows the current task's cancellation.
    public static func run<Result: Sendable>(
        _ body: @escaping @Sendable (CancellationFlag) throws -> Result
    ) async throws -> Result {
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await Blocking.run { try body(flag) }
        } onCancel: {
            flag.cancel()
        }
    }
}
