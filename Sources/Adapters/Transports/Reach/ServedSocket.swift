// SPDX-License-Identifier: Apache-2.0
import Domain
import Glibc

/// A descriptor whose other end is served by something that must be kept alive as long as the caller has it.
enum ServedSocket {
    /// Starts `serve` with one end, waits until it says that it is ready, and gives the other end.
    ///
    /// - Parameter serve: works until the caller closes the descriptor; what it throws before it is ready is thrown here.
    static func open(
        timeoutSeconds: Int, object: String,
        _ serve: @escaping @Sendable (OwnedSocket, _ isReady: @escaping @Sendable () -> Void) async throws -> Void
    ) async throws -> Int32 {
        let (mine, theirs) = try OwnedSocket.pair()
        let (readiness, ready) = AsyncThrowingStream<Void, any Error>.makeStream()
        let serving = Task {
            do {
                try await serve(mine) { ready.yield() }
                mine.end()
                ready.finish()
            } catch {
                mine.end()
                ready.finish(throwing: error)
            }
        }
        do {
            return try await Patience.run(seconds: timeoutSeconds) {
                for try await _ in readiness {
                    // The caller closes a descriptor of its own.
                    let copy = fcntl(theirs.raw, F_DUPFD_CLOEXEC, 3)
                    guard copy >= 0 else {
                        throw Failure(.localInput, "unable to keep a socket: \(String(cString: strerror(errno)))")
                    }
                    return copy
                }
                try Task.checkCancellation()
                throw Failure(.sourceUnreachable, "the connection to \(object) ended at once")
            }
        } catch {
            serving.cancel()
            if error is Patience.Spent {
                throw Failure(
                    .sourceUnreachable, "unable to connect to \(object): no answer in \(timeoutSeconds) s",
                    hint: "Is the server up, and is 'connection' in the plan right?")
            }
            throw error
        }
    }
}
