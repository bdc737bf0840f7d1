// SPDX-License-Identifier: Apache-2.0
public import ByteStreams

/// Bodies that are too large for memory.
extension HTTPClient {
    /// Performs `request` and gives the body of a reply with a status of success to `consume`, part by part, on a thread
    /// that may block: a slow consumer slows the server. The body of any other reply is in the response.
    ///
    /// It returns only when the reply was whole: all of its `Content-Length`, or the last of its chunks. A reply that
    /// says neither is an error, also one whose connection ends early.
    ///
    /// - Throws: `TransferError`; what `consume` throws; `CancellationError` when the task is cancelled.
    public func download(
        _ request: HTTPRequest, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws -> HTTPResponse {
        try Task.checkCancellation()
        return try await cancellable { flag in
            let handle = try CurlHandle()
            return try handle.perform(request, limit: nil, cancellation: flag, output: consume)
        }
    }

    /// Performs `request` with a body of exactly `length` bytes (nil: as many as come, in chunks) that `produce` writes, on
    /// a thread that may block: a slow server slows the producer, and at most 1 MiB waits between them.
    ///
    /// A server may answer before it has read everything, to refuse: that answer is the response. An answer of success
    /// to a body that was not taken whole is an error.
    ///
    /// - Parameter consume: takes the body of a reply of success, as in `download`; nil: it is in the response.
    /// - Throws: what `produce` throws, unless the transfer ended before; `TransferError`; what `consume` throws;
    ///   `CancellationError` when the task is cancelled.
    public func upload(
        _ request: HTTPRequest, length: UInt64?,
        consume: (@Sendable (UnsafeRawBufferPointer) throws -> Void)? = nil,
        _ produce: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws -> HTTPResponse {
        try Task.checkCancellation()
        let feed = UploadFeed(length: length)
        async let production: Void = {
            do {
                try await produce(feed)
                feed.finish()
            } catch { feed.fail(error) }
        }()
        let result: Result<HTTPResponse, any Error>
        do {
            let response = try await cancellable { flag in
                defer { feed.close() }
                // A connection that was used before might turn out to be dead, and this body cannot be sent twice.
                return try CurlHandle().perform(
                    request, limit: self.uploadLimit, cancellation: flag, feed: feed, output: consume)
            }
            result = .success(response)
        } catch { result = .failure(error) }
        await production
        if let error = feed.failure { throw error }
        let response = try result.get()
        guard !response.isSuccess || feed.isDrained else {
            throw TransferError(.reset, "the server answered \(response.status) before it had taken everything")
        }
        return response
    }

    private func cancellable<Result: Sendable>(
        _ body: @escaping @Sendable (CancellationFlag) throws -> Result
    ) async throws -> Result {
        do {
            return try await CancellationFlag.run(body)
        } catch let error as TransferError where error.kind == .cancelled && Task.isCancelled {
            throw CancellationError()
        }
    }
}

/// One file as the only part of a `multipart/form-data` body (RFC 7578).
public struct MultipartFile: Sendable {
    /// What comes before the file's bytes.
    public let head: [UInt8]
    /// What comes after them.
    public let tail: [UInt8]
    /// The value of `Content-Type`.
    public let contentType: String

    /// - Parameters:
    ///   - field: the field's name; letters, digits and dashes.
    ///   - fileName: control characters, quotes and backslashes in it are replaced.
    public init(field: String, fileName: String) {
        let boundary = "salvor-" + (0..<3).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        let plain = String(
            fileName.unicodeScalars.map { scalar -> Character in
                scalar.value < 32 || scalar == "\"" || scalar == "\\" || scalar.value == 127 ? "_" : Character(scalar)
            })
        contentType = "multipart/form-data; boundary=\(boundary)"
        head = Array(
            ("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(field)\"; filename=\"\(plain)\"\r\n"
                + "Content-Type: application/octet-stream\r\n\r\n").utf8)
        tail = Array("\r\n--\(boundary)--\r\n".utf8)
    }

    /// The whole body's length for a file of `count` bytes.
    public func length(_ count: UInt64) -> UInt64 { UInt64(head.count) + count + UInt64(tail.count) }
}
