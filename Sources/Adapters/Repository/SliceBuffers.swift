// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization

/// The raw buffers of a run: at most `inFlight` full ones wait or are being worked on, which is what stops producers that
/// are faster than the store. Buffers are used again, so that their pages are not faulted in anew for every slice.
final class SliceBuffers: Sendable {
    /// Bytes of a full slice.
    let sliceSize: Int
    private let places: DispatchSemaphore
    private let free = Mutex<[[UInt8]]>([])

    init(sliceSize: Int, inFlight: Int) {
        self.sliceSize = sliceSize
        // Dispatch traps when a semaphore goes away below its first value, as it may after a failed run; so start from 0.
        places = DispatchSemaphore(value: 0)
        for _ in 0..<inFlight { places.signal() }
    }

    /// Waits for a place for one more full slice; blocks, asking `check` ten times a second whether to go on.
    func waitForPlace(_ check: () throws -> Void) throws {
        while places.wait(timeout: .now() + .milliseconds(100)) == .timedOut { try check() }
    }

    /// An empty buffer with room for a slice.
    func take() -> [UInt8] {
        if let buffer = free.withLock({ $0.popLast() }) { return buffer }
        var buffer: [UInt8] = []
        buffer.reserveCapacity(sliceSize)
        return buffer
    }

    /// Gives a full slice's place and buffer back; harmless when done twice.
    func giveBack(_ slice: Slice) {
        guard var buffer = slice.bytes.take() else { return }
        buffer.removeAll(keepingCapacity: true)
        free.withLock { [buffer] in $0.append(buffer) }
        places.signal()
    }
}
