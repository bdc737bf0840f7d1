// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import Foundation

/// Turns pushed bytes into a source: the pusher's `write` returns when the reader is done with the bytes, so nothing is
/// copied and no memory grows. One pusher, one reader, each on its own thread.
// Every stored variable is read and written only with the condition's lock held.
public final class PushedSource: ByteSink, ByteSource, @unchecked Sendable {
    /// What a `write` throws after the reader has gone; the reader's own error is the one that matters.
    public struct ReaderGone: Error {}

    private let condition = NSCondition()
    private var chunk: UnsafeRawBufferPointer?
    private var isTaken = false
    private var isEnded = false
    private var failure: (any Error)?
    private var isClosed = false

    public init() {}

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        condition.lock()
        defer { condition.unlock() }
        chunk = bytes
        isTaken = false
        condition.broadcast()
        // Bytes the reader holds must stay valid until it gives them back, whatever has failed in the meantime.
        while chunk != nil, !isClosed, isTaken || failure == nil { condition.wait() }
        chunk = nil
        if let failure { throw failure }
        if isClosed { throw ReaderGone() }
    }

    /// Says that everything was written, and well.
    public func finish() {
        condition.lock()
        isEnded = true
        condition.broadcast()
        condition.unlock()
    }

    /// Makes the reader's next call throw `error`, and a waiting `write` too.
    public func fail(_ error: any Error) {
        condition.lock()
        if failure == nil { failure = error }
        condition.broadcast()
        condition.unlock()
    }

    /// The reader wants no more.
    public func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }

    public func nextChunk() throws -> UnsafeRawBufferPointer? {
        condition.lock()
        defer { condition.unlock() }
        if isTaken {
            isTaken = false
            chunk = nil
            condition.broadcast()
        }
        while true {
            if let failure { throw failure }
            if let chunk {
                isTaken = true
                return chunk
            }
            if isEnded { return nil }
            condition.wait()
        }
    }
}
