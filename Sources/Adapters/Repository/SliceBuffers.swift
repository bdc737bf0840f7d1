// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Dispatch

/// The raw buffers of a run: at most `inFlight` full ones wait or are being worked on, which is what stops producers that
/// are faster than the store.
final class SliceBuffers: Sendable {
    /// Bytes of a full slice.
    let sliceSize: Int
    private let places: DispatchSemaphore

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

    /// Gives a full slice's place and buffer back; harmless when done twice.
    func giveBack(_ slice: Slice) {
        guard var buffer = slice.bytes.take() else { return }
        LargeArrays.giveBack(&buffer)
        places.signal()
    }
}
