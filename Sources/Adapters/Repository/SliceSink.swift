// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import Synchronization

/// One full slice of a stream, ready to become a segment.
struct Slice: Sendable {
    var index: Int
    var rawOffset: UInt64
    var bytes: SliceBytes
}

/// A slice's bytes, held in one place so that its buffer can be used again afterwards.
final class SliceBytes: Sendable {
    let count: Int
    private let bytes: Mutex<[UInt8]?>

    init(_ bytes: consuming [UInt8]) {
        count = bytes.count
        self.bytes = Mutex(bytes)
    }

    func withBytes<Result: Sendable>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withLock { try ($0 ?? []).withUnsafeBytes(body) }
    }

    /// The buffer, once the bytes are no longer needed; nil when it was taken before.
    func take() -> [UInt8]? {
        bytes.withLock { $0.take() }
    }
}

/// Cuts one stream into slices and hands them over in order. Written to from the producer's thread; the slices are taken
/// by the stream's task.
final class SliceSink: ByteSink {
    private struct State {
        var buffer: [UInt8] = []
        var hash = RunningSHA256()
        var nextIndex = 0
        var fingerprints: BaseFingerprints?
        var error: (any Error)?
        var isFinished = false
    }

    /// The slices, in order; ends after `finish` or `fail`.
    let slices: AsyncStream<Slice>
    private let continuation: AsyncStream<Slice>.Continuation
    private let buffers: SliceBuffers
    private let state: Mutex<State>
    private let onBytes: @Sendable (Int) -> Void
    private static let small = 1 << 20

    /// - Parameter fingerprints: where to note the stream's fingerprints; nil when they are not wanted.
    init(buffers: SliceBuffers, fingerprints: BaseFingerprints?, onBytes: @escaping @Sendable (Int) -> Void) {
        self.buffers = buffers
        self.onBytes = onBytes
        // Bounded by the places for slices, not by the stream.
        (slices, continuation) = AsyncStream.makeStream(of: Slice.self)
        state = Mutex(State(fingerprints: fingerprints))
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let full: Slice? = try state.withLock { state in
                if let error = state.error { throw error }
                let part = rest.prefix(buffers.sliceSize - state.buffer.count)
                // Small streams, of which there may be many, stay in small arrays; a larger one is not to grow step by step.
                if state.buffer.capacity < buffers.sliceSize, state.buffer.count + part.count > Self.small {
                    var larger = LargeArrays.take(buffers.sliceSize)
                    larger += state.buffer
                    state.buffer = larger
                }
                let chunk = UnsafeRawBufferPointer(rebasing: part)
                state.buffer.append(contentsOf: chunk)
                state.hash.update(chunk)
                state.fingerprints?.add(chunk)
                rest = rest.dropFirst(part.count)
                return state.buffer.count == buffers.sliceSize ? takeSlice(&state) : nil
            }
            if let full { try submit(full) }
        }
        onBytes(bytes.count)
    }

    /// Hands over the last, shorter slice and gives the receipt. An empty stream has no slices.
    func finish() throws -> (receipt: StreamReceipt, fingerprints: BaseFingerprints?) {
        let last: Slice? = try state.withLock { state in
            if let error = state.error { throw error }
            state.isFinished = true
            return state.buffer.isEmpty ? nil : takeSlice(&state)
        }
        if let last { try submit(last) }
        continuation.finish()
        return state.withLock {
            (StreamReceipt(length: $0.hash.length, sha256: $0.hash.finish()), $0.fingerprints)
        }
    }

    /// Makes every later write throw `error` and ends the slices. The first error stays.
    func fail(_ error: any Error) {
        state.withLock {
            if $0.error == nil { $0.error = error }
        }
        continuation.finish()
    }

    /// The first error, if any.
    var error: (any Error)? { state.withLock { $0.error } }

    private func takeSlice(_ state: inout State) -> Slice {
        let offset = state.hash.length - UInt64(state.buffer.count)
        let slice = Slice(index: state.nextIndex, rawOffset: offset, bytes: SliceBytes(state.buffer))
        state.buffer = []
        state.nextIndex += 1
        return slice
    }

    private func submit(_ slice: Slice) throws {
        try buffers.waitForPlace {
            if let error { throw error }
        }
        guard case .enqueued = continuation.yield(slice) else {
            // Ended by `fail` in the meantime.
            buffers.giveBack(slice)
            throw error ?? CancellationError()
        }
    }
}
