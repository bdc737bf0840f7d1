// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import LocalState
import Synchronization

/// A dump stream's local base, readable by window, with what finds the window for a slice.
final class BaseMatching: Sendable {
    /// Bytes of base a frame may refer to: with a slice of 32 MiB this stays within zstd's window of 128 MiB, which stock
    /// `zstd -d` accepts without a flag.
    static let windowLength: UInt64 = 64 << 20

    let base: DumpBase
    private let folder: BaseFolder
    private let fingerprints: BaseFingerprints
    /// The slices decoded last; neighbouring segments mostly share them.
    private let decoded = Mutex<[(index: Int, bytes: [UInt8])]>([])

    init(base: DumpBase, folder: BaseFolder, fingerprints: BaseFingerprints) {
        self.base = base
        self.folder = folder
        self.fingerprints = fingerprints
    }

    /// The window of the base that resembles `slice` most, with its bytes; nil when none does. Blocks.
    ///
    /// - Throws: `Failure(.stateDamaged)` when the local copy is not what it was.
    func window(for slice: UnsafeRawBufferPointer) throws -> (range: Range<UInt64>, bytes: [UInt8])? {
        guard
            let range = fingerprints.window(
                for: slice, baseLength: base.rawBytes, windowLength: Self.windowLength), !range.isEmpty
        else { return nil }
        return (range, try bytes(of: range))
    }

    /// The base's bytes in `range`. Blocks.
    ///
    /// - Throws: `Failure(.stateDamaged)` when the local copy is not what it was.
    func bytes(of range: Range<UInt64>) throws -> [UInt8] {
        var bytes = LargeArrays.take(range.count)
        for (index, part) in base.segments.enumerated() {
            let extent = part.rawOffset..<(part.rawOffset + part.rawLength)
            let overlap = extent.clamped(to: range)
            guard !overlap.isEmpty else { continue }
            let raw = try slice(index, part)
            bytes += raw[Int(overlap.lowerBound - part.rawOffset)..<Int(overlap.upperBound - part.rawOffset)]
        }
        guard bytes.count == range.count else {
            throw Failure(.stateDamaged, "the local base does not cover its own window")
        }
        return bytes
    }

    private func slice(_ index: Int, _ part: DumpBase.Slice) throws -> [UInt8] {
        if let known = decoded.withLock({ $0.first { $0.index == index }?.bytes }) { return known }
        let frame = try folder.frame(index)
        let raw: [UInt8]
        do {
            raw = try SegmentFrames.decode(frame, prefix: nil, size: part.rawLength)
        } catch {
            throw Failure(.stateDamaged, "slice \(index) of the local base is damaged: \(error)")
        }
        guard SHA256Digest.of(raw) == part.sha256 else {
            throw Failure(.stateDamaged, "slice \(index) of the local base is not what was stored")
        }
        decoded.withLock { cache in
            cache.append((index, raw))
            if cache.count > 3 { cache.removeFirst() }
        }
        return raw
    }
}
