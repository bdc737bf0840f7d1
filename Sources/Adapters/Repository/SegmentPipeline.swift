// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import Encryption
import Synchronization

/// Makes segments out of slices: match base, zstd, decode check, gpg, SHA-256, store. One for all streams of a run, so
/// that the cores and the uploads are shared.
final class SegmentPipeline: Sendable {
    /// A stored segment with the digest of its raw slice, if that was wanted.
    struct Stored: Sendable {
        var index: Int
        var segment: Segment
        var rawDigest: SHA256Digest?
    }

    /// What a slice is part of.
    struct Context: Sendable {
        var bundle: BundleID
        var source: String
        var stream: String
        /// Seals for who can read the source.
        var sealer: Sealer
        /// Whether each raw slice gets a digest of its own.
        var hashesSlices: Bool
        /// The base to match against; nil for fulls.
        var matching: BaseMatching?
        /// Takes every frame of a full whose plaintext is kept as the next local base.
        var keepFrame: (@Sendable (Int, [UInt8]) -> Void)?
        /// A problem with the local base, which costs size but not correctness.
        var onBaseProblem: @Sendable (Failure) -> Void
    }

    let buffers: SliceBuffers
    private let store: any Store
    private let cores: Permits
    /// Segments between their slice and their object: what bounds the ciphertexts in memory when the store is slow.
    private let places: Permits
    private let compressors = Mutex<[FrameCompressor]>([])

    init(store: any Store, concurrency: Int, sliceSize: Int = 32 << 20) {
        self.store = store
        cores = Permits(concurrency)
        places = Permits(concurrency + 1)
        buffers = SliceBuffers(sliceSize: sliceSize, inFlight: concurrency)
    }

    /// Turns one slice into one stored object; gives the slice's buffer back whatever happens.
    func store(_ slice: Slice, _ context: Context) async throws -> Stored {
        // Also when it never got a place: other sources wait for this buffer.
        defer { buffers.giveBack(slice) }
        return try await places.use { [self] in try await make(slice, context) }
    }

    private func make(_ slice: Slice, _ context: Context) async throws -> Stored {
        var (made, cipher, digest) = try await cores.use { [self] in
            var made = try await Blocking.run { try self.frame(slice, context) }
            buffers.giveBack(slice)
            LargeArrays.trim(made.frame)
            let cipher = try await KeyFailures.translating { [frame = made.frame] in
                try await context.sealer.seal(frame)
            }
            LargeArrays.giveBack(&made.frame)
            LargeArrays.trim(cipher)
            let digest = try await Blocking.run { SHA256Digest.of(cipher) }
            return ((rawDigest: made.rawDigest, window: made.window), cipher, digest)
        }
        let object = BundleLayout.segment(source: context.source, stream: context.stream, index: slice.index)
        try await store.put(BundleLayout.key(context.bundle, object), cipher, sha256: digest, condition: .none)
        let size = UInt64(cipher.count)
        LargeArrays.giveBack(&cipher)
        return Stored(
            index: slice.index,
            segment: Segment(
                object: object, size: size, sha256: digest, rawOffset: slice.rawOffset,
                rawLength: UInt64(slice.bytes.count), window: made.window),
            rawDigest: made.rawDigest)
    }

    private func frame(
        _ slice: Slice, _ context: Context
    ) throws -> (frame: [UInt8], rawDigest: SHA256Digest?, window: Range<UInt64>?) {
        let compressor = try compressors.withLock { $0.popLast() } ?? FrameCompressor()
        defer { compressors.withLock { $0.append(compressor) } }
        let rawDigest = context.hashesSlices ? slice.bytes.withBytes { SHA256Digest.of($0) } : nil
        if let delta = try delta(slice, context, compressor) { return (delta.frame, rawDigest, delta.window) }
        let frame = try slice.bytes.withBytes { try compressor.compress($0, level: 3, prefix: nil) }
        try check(frame, slice, prefix: nil)
        context.keepFrame?(slice.index, frame)
        return (frame, rawDigest, nil)
    }

    /// A frame against the base, if there is one that pays.
    private func delta(
        _ slice: Slice, _ context: Context, _ compressor: FrameCompressor
    ) throws -> (frame: [UInt8], window: Range<UInt64>)? {
        guard let matching = context.matching else { return nil }
        let found: (range: Range<UInt64>, bytes: [UInt8])?
        do {
            found = try slice.bytes.withBytes { try matching.window(for: $0) }
        } catch let failure as Failure where failure.code == .stateDamaged {
            context.onBaseProblem(failure)
            return nil
        }
        guard let found else { return nil }
        var frame = try slice.bytes.withBytes { raw in
            try found.bytes.withUnsafeBytes { try compressor.compress(raw, level: 1, prefix: $0) }
        }
        // A delta is small: not to stand in the way of the check, which needs room for the whole slice.
        frame = LargeArrays.fitted(frame)
        // Far smaller than any plain frame of a dump would be: no need to try one.
        if frame.count > slice.bytes.count / 16 {
            var plain = try slice.bytes.withBytes { try compressor.compress($0, level: 3, prefix: nil) }
            let plainCount = plain.count
            LargeArrays.giveBack(&plain)
            guard frame.count < plainCount / 10 * 9 else { return nil }
        }
        try check(frame, slice, prefix: found.bytes)
        return (frame, found.range)
    }

    /// Decodes the frame again and compares: a compressor's bug must not become a good bundle.
    private func check(_ frame: [UInt8], _ slice: Slice, prefix: [UInt8]?) throws {
        let isSame = try slice.bytes.withBytes { try SegmentFrames.decodes(frame, to: $0, prefix: prefix) }
        guard isSame else {
            throw Failure(
                .integrity, "a compressed segment does not decode to what went in",
                hint: "Suspect this machine's memory or its zstd library; nothing was committed.")
        }
    }
}
