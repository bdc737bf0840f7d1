// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// One run of a plan per host: a lock on a file that the kernel releases when the process ends, however it ends.
public final class PlanLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock without waiting.
    ///
    /// - Throws: `Failure(.locked)` when another process holds it.
    public init(_ root: StateDirectory, plan: String) throws {
        let folder = root.below("locks")
        try folder.create()
        let file = "\(folder.path)/\(plan).lock"
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
                .locked, "another run of plan '\(plan)' is under way on this host",
                hint: "Wait for it to end; 'fuser \(file)' names its process.")
        }
    }

    deinit {
        close(descriptor)
    }
}
