// SPDX-License-Identifier: Apache-2.0

/// Where bytes go, in order. `write` blocks until the bytes are taken: that is the back-pressure of the whole pipeline,
/// so call it only on a thread that may block (`Blocking.run`), never on the cooperative pool.
///
/// End of input is never success by itself: whoever drives a sink states how many bytes it wrote (`StreamEnd`), and the
/// owner of the sink compares that with what arrived.
public protocol ByteSink: AnyObject, Sendable {
    /// Takes all of `bytes`, which are valid only during the call, or throws.
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

extension ByteSink {
    /// Takes all of `bytes`, or throws.
    public func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }
}

/// What a producer claims at the end of a stream.
public struct StreamEnd: Sendable, Equatable {
    /// Bytes the producer handed over, by its own count.
    public var length: UInt64

    public init(length: UInt64) {
        self.length = length
    }
}

/// What was received: proof, not hope.
public struct StreamReceipt: Sendable, Equatable {
    /// Bytes received.
    public var length: UInt64
    /// SHA-256 of those bytes, in order.
    public var sha256: SHA256Digest

    public init(length: UInt64, sha256: SHA256Digest) {
        self.length = length
        self.sha256 = sha256
    }
}

/// A sink made of a closure, which is called on the writer's thread, one call at a time.
public final class ClosureSink: ByteSink {
    private let body: @Sendable (UnsafeRawBufferPointer) throws -> Void

    public init(_ body: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
        self.body = body
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try body(bytes)
    }
}
