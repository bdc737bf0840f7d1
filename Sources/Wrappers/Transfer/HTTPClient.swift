// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import Synchronization

/// A blocking HTTP/1.1 client: a pool of libcurl handles, each with its connections, name cache and TLS sessions.
/// Any number of threads may use one client; each transfer has a handle of its own while it lasts.
///
/// Redirects are not followed, and nothing is decoded: what the server sent is what comes back.
public final class HTTPClient: Sendable {
    /// Limits what all uploads of this client send together; nil: no limit.
    public let uploadLimit: UploadLimit?
    private let idle = Mutex<[CurlHandle]>([])
    /// Enough for the uploads in flight; more would only keep sockets open.
    private static let mostIdle = 16

    public init(uploadLimit: UploadLimit? = nil) {
        self.uploadLimit = uploadLimit
    }

    /// Performs `request` on the calling thread, which blocks; for use inside `Blocking.run`. Throws a `TransferError`,
    /// `.cancelled` within about a second after the flag was set.
    public func perform(
        _ request: HTTPRequest, cancellation: CancellationFlag = CancellationFlag()
    ) throws -> HTTPResponse {
        if cancellation.isCancelled { throw TransferError(.cancelled, "cancelled") }
        let handle = try idle.withLock { $0.popLast() } ?? CurlHandle()
        // A handle whose transfer failed is dropped with its connections: nothing half-read is ever used again.
        let response = try handle.perform(request, limit: uploadLimit, cancellation: cancellation)
        idle.withLock { if $0.count < Self.mostIdle { $0.append(handle) } }
        return response
    }

    /// Performs `request` on a thread of its own. Throws `CancellationError` when the task is cancelled, else
    /// `TransferError`.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try Task.checkCancellation()
        do {
            return try await CancellationFlag.run { flag in try self.perform(request, cancellation: flag) }
        } catch let error as TransferError where error.kind == .cancelled {
            throw CancellationError()
        }
    }
}
