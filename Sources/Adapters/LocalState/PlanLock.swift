// SPDX-License-Identifier: Apache-2.0
public import Domain
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
            // What is thrown from here on lets the instance go, and its end closes the descriptor: not twice, since the
            // number may be somebody else's by then.
            guard error == EWOULDBLOCK else {
                throw Failure(.localInput, "unable to lock '\(file)': \(String(cString: strerror(error)))")
            }
            let holder = Self.holder(descriptor)
            throw Failure(
                .locked,
                "another \(purpose.isEmpty ? "run" : purpose) of plan '\(plan)' is under way on this host"
                    + (holder.map { ", in process \($0)" } ?? ""),
                hint: "Wait for it to end; 'fuser \(file)' names its process.")
        }
        // For the words above only: the lock is the kernel's, so a failing write is no reason to stop.
        _ = ftruncate(descriptor, 0)
        let note = Array("\(getpid())\n".utf8)
        _ = pwrite(descriptor, note, note.count, 0)
    }

    /// Takes the lock, waiting at most so many seconds for another process to give it up; cancellable.
    ///
    /// - Throws: `Failure(.locked)` when it is held all that time, `CancellationError`.
    public static func waiting(
        _ root: StateDirectory, plan: String, purpose: String = "", seconds: Int,
        onWait: (Failure) -> Void = { _ in }
    ) async throws -> PlanLock {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var hasTold = false
        while true {
            do {
                return try PlanLock(root, plan: plan, purpose: purpose)
            } catch let failure as Failure where failure.code == .locked {
                guard ContinuousClock.now < deadline else { throw failure }
                if !hasTold { onWait(failure) }
                hasTold = true
                // The kernel tells nobody when a lock gets free, except who blocks a thread that no signal can end.
                try await Task.sleep(for: .milliseconds(250))
            }
        }
    }

    /// Whether a process that is alive says it holds the lock, without taking it: a run that begins this very moment must
    /// not find it taken by whoever only looks.
    public static func seemsHeld(_ root: StateDirectory, plan: String) -> Bool {
        let descriptor = open("\(root.below("locks").path)/\(plan).lock", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return holder(descriptor) != nil
    }

    /// The process that says it holds the lock, if it is alive.
    private static func holder(_ descriptor: Int32) -> pid_t? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0, let line = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").first,
            let pid = pid_t(line), pid > 1, kill(pid, 0) == 0 || errno == EPERM
        else { return nil }
        return pid
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
