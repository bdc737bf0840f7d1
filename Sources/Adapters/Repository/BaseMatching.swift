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
    /// The slices used last; neighbouring segments mostly share them.
    private let decoded = Mutex<[DecodedSlice]>([])
    /// A window spans three slices at most, of which the next one mostly shares two.
    private static let kept = 2

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
        let slice = decoded.withLock { cache in
            let known = cache.firstIndex { $0.index == index }.map { cache.remove(at: $0) }
            let slice = known ?? DecodedSlice(index)
            // First out, then in: what is decoded next has a place.
            if cache.count == Self.kept { cache.removeFirst() }
            cache.append(slice)
            return slice
        }
        return try slice.bytes { try decode(index, part) }
    }

    private func decode(_ index: Int, _ part: DumpBase.Slice) throws -> [UInt8] {
        var frame = try folder.frame(index)
        defer { LargeArrays.giveBack(&frame) }
        let raw: [UInt8]
        do {
            raw = try SegmentFrames.decode(frame, prefix: nil, size: part.rawLength)
        } catch {
            throw Failure(.stateDamaged, "slice \(index) of the local base is damaged: \(error)")
        }
        guard SHA256Digest.of(raw) == part.sha256 else {
            throw Failure(.stateDamaged, "slice \(index) of the local base is not what was stored")
        }
        return raw
    }
}

/// A slice of a base, decoded once for all who need it at the same time.
private final class DecodedSlice: Sendable {
    let index: Int
    private let known = Mutex<[UInt8]?>(nil)

    init(_ index: Int) {
        self.index = index
    }

    deinit {
        if var last = known.withLock({ $0.take() }) { LargeArrays.giveBack(&last) }
    }

    /// The bytes; whoever comes while another decodes them waits. Blocks.
    func bytes(_ decode: () throws -> [UInt8]) throws -> [UInt8] {
        try known.withLock { known in
            if let known { return known }
            let bytes = try decode()
            known = bytes
            return bytes
        }
    }
}
