// SPDX-License-Identifier: Apache-2.0
public import Foundation
import Glibc
import Synchronization

extension Process {
    private static let launching = Mutex(())

    /// As `run()`, one at a time, with what makes the child's pipes.
    ///
    /// Foundation closes in a child what was open when it looked. A pipe, or its own socket that tells of a child's end,
    /// made by another thread a moment later stays open in that child, and whoever waits for its end waits for the
    /// child: two servers that hold each other's stop for ever.
    ///
    /// A child inherits the signals that are blocked, nearly all on a thread of Dispatch; a shell would wait for ever for
    /// the news of its own child's end.
    @discardableResult
    public func start<Pipes>(_ pipes: () throws -> Pipes = {}) throws -> Pipes {
        try Self.launching.withLock { _ in
            let made = try pipes()
            var (none, before) = (sigset_t(), sigset_t())
            sigemptyset(&none)
            pthread_sigmask(SIG_SETMASK, &none, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            try run()
            return made
        }
    }
}
