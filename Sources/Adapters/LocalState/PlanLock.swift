// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// One run of a plan per host: a lock on a file that the kernel releases when the process ends, however it ends.
public final class PlanLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock without waiting.
    ///
    /// - Parameter purpose: what runs, when that may be beside a run of the plan, such as `prune`; empty: a run or restore.
    /// - Throws: `Failure(.locked)` when another process holds it.
    public init(_ root: StateDirectory, plan: String, purpose: String = "") throws {
        let folder = root.below("locks")
        try folder.create()
        // No plan's name has a tilde.
        let file = "\(folder.path)/\(plan)\(purpose.isEmpty ? "" : "~\(purpose)").lock"
        descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(
                .localInput, "unable to open '\(file)': \(String(cString: strerror(errno)))",
                hint: "Make the state folder writable, or name another with --state-dir.")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let error = errno
            close(descriptor)
            guard error == EWOULDBLOCK else {
                throw Failure(.localInput, "unable to lock '\(file)': \(String(cString: strerror(error)))")
            }
            throw Failure(
                .locked, "another \(purpose.isEmpty ? "run" : purpose) of plan '\(plan)' is under way on this host",
                hint: "Wait for it to end; 'fuser \(file)' names its process.")
        }
    }

    deinit {
        close(descriptor)
    }
}
