// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Runs blocking work (system calls, C libraries, long computations) on a thread of its own, so that the cooperative
/// pool, which has only one thread per core, never stands still.
public enum Blocking {
    /// Runs `body` on a new thread and waits for it without blocking a pool thread.
    ///
    /// Cancelling the task does not interrupt `body`: give it something that ends it (a closed pipe, a
    /// `CancellationFlag`), as the wrappers here do.
    public static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        let work = Work(body)
        return try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: work.run()) }
            // libarchive and zstd keep large frames on the stack; 8 MiB is what a main thread has.
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    /// Lets go of what the work holds before anybody learns that it is done: a thread ends a little later, and an array
    /// that it still held would not be the caller's alone, so that its memory could not be used again.
    private final class Work<Result: Sendable>: Sendable {
        private let body: Mutex<(@Sendable () throws -> Result)?>

        init(_ body: @escaping @Sendable () throws -> Result) {
            self.body = Mutex(body)
        }

        func run() -> Swift.Result<Result, any Error> {
            guard let body = body.withLock({ $0.take() }) else { return .failure(CancellationError()) }
            return Swift.Result { try body() }
        }
    }
}
