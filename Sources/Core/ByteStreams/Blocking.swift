// SPDX-License-Identifier: Apache-2.0
import Foundation

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
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
            // libarchive and zstd keep large frames on the stack; 8 MiB is what a main thread has.
            thread.stackSize = 8 << 20
            thread.start()
        }
    }
}
