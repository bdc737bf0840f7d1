// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation

/// Joins a producer that pushes with a transfer that pulls. Between them are at most 1 MiB: a slow server slows the
/// producer.
// Every stored variable is read and written only with the condition's lock held.
final class UploadFeed: ByteSink, @unchecked Sendable {
    /// What a `write` throws when the transfer has ended; the transfer's own outcome is the one that matters.
    struct ReaderGone: Error {}

    /// Bytes that will come in all; nil: not known.
    let length: UInt64?
    private static let capacity = 1 << 20
    private let condition = NSCondition()
    private var held: [UInt8] = []
    private var taken = 0
    private var written: UInt64 = 0
    private var isEnded = false
    private var isClosed = false
    private var ownFailure: (any Error)?

    init(length: UInt64?) {
        self.length = length
    }

    /// Why the producer gave up, if it did so by itself.
    var failure: (any Error)? { condition.withLock { ownFailure } }

    /// Whether the transfer took everything.
    var isDrained: Bool { condition.withLock { isEnded && taken == held.count && written == length ?? written } }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        condition.lock()
        defer { condition.unlock() }
        if let length, UInt64(bytes.count) > length - written {
            throw TransferError(.invalid, "more is uploaded than the \(length) bytes that were announced")
        }
        var start = 0
        while start < bytes.count {
            while !isClosed, held.count - taken >= Self.capacity { condition.wait() }
            if isClosed { throw ReaderGone() }
            if taken > 0 {
                held.removeFirst(taken)
                taken = 0
            }
            let count = min(bytes.count - start, Self.capacity - held.count)
            held.append(contentsOf: bytes[start..<(start + count)])
            start += count
            written += UInt64(count)
            condition.broadcast()
        }
    }

    /// Says that everything was written; fails the transfer when it was not.
    func finish() {
        condition.withLock {
            if let length, written != length, !isClosed {
                ownFailure = TransferError(
                    .invalid, "\(written) bytes came for an upload of \(length) that were announced")
            }
            isEnded = true
            condition.broadcast()
        }
    }

    /// Fails the transfer, unless it has ended already.
    func fail(_ error: any Error) {
        condition.withLock {
            if ownFailure == nil, !isClosed { ownFailure = error }
            condition.broadcast()
        }
    }

    /// The transfer has ended.
    func close() {
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }

    /// Some bytes, 0 at the end of all; nil when the producer failed or the flag was set. Blocks until one of them.
    func read(into room: UnsafeMutableRawBufferPointer, _ cancellation: CancellationFlag) -> Int? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if ownFailure != nil || cancellation.isCancelled { return nil }
            let count = min(held.count - taken, room.count)
            if count > 0 {
                held.withUnsafeBytes {
                    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<(taken + count)]))
                }
                taken += count
                condition.broadcast()
                return count
            }
            if isEnded { return 0 }
            // The flag wakes nobody, so it is looked at now and then.
            _ = condition.wait(until: Date(timeIntervalSinceNow: 0.2))
        }
    }
}
