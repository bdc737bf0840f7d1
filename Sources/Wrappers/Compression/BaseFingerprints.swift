// SPDX-License-Identifier: Apache-2.0
import ByteStreams

/// Sampled fingerprints of a base stream: one value per 64 KiB (0.25 MB per GB; beyond 32 GiB samples are taken further
/// apart, so that a million of them, 16 MB, is the most there are). They tell, without the base at hand, which part of
/// it resembles a slice of the next night's stream, also when data were inserted in front of it.
public struct BaseFingerprints: Sendable {
    /// One sample: the hash of 64 bytes and where they begin in the base.
    struct Sample: Equatable {
        var hash: UInt64
        var position: UInt64
    }

    /// Candidates for a block's sample lie in its first KiB.
    private static let head = 1 << 10
    private static let initialInterval: UInt64 = 64 << 10
    private static let limit = 1 << 20
    /// A window with fewer changes from one byte to the next is a run of blanks or zeros, found everywhere.
    private static let leastChanges = 8
    private static let magic = Array("salvor-fingerprints 1\n".utf8)

    private(set) var samples: [Sample] = []
    private var interval = initialInterval
    private var pending: [UInt8] = []
    /// Bytes of the base seen so far.
    public private(set) var length: UInt64 = 0
    private var index: FingerprintIndex?

    public init() {
        pending.reserveCapacity(Self.head)
    }

    /// Takes the next bytes of the base stream.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        index = nil
        var offset = 0
        while offset < bytes.count {
            let inBlock = length % interval
            let room = Int(interval - inBlock)
            let step = min(room, bytes.count - offset)
            if inBlock < UInt64(Self.head) {
                let wanted = min(step, Self.head - Int(inBlock))
                pending.append(contentsOf: bytes[offset..<(offset + wanted)])
                if pending.count == Self.head { takeSample(blockStart: length - inBlock) }
            }
            offset += step
            length += UInt64(step)
        }
    }

    /// Takes the next bytes of the base stream.
    public mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { add($0) }
    }

    /// Of the windows in `pending` that may be samples, keeps the one with the most changes from byte to byte: in padded
    /// rows that is one that holds the key.
    private mutating func takeSample(blockStart: UInt64) {
        defer { pending.removeAll(keepingCapacity: true) }
        var best = (changes: Self.leastChanges - 1, start: -1, hash: UInt64(0))
        pending.withUnsafeBufferPointer { bytes in
            var hash: UInt64 = 0
            for end in bytes.indices {
                hash = (hash &<< 1) &+ RollingHash.table[Int(bytes[end])]
                let start = end + 1 - RollingHash.span
                guard start >= 0, RollingHash.isSampled(hash) else { continue }
                var changes = 0
                for index in (start + 1)...end where bytes[index] != bytes[index - 1] { changes += 1 }
                if changes > best.changes { best = (changes, start, hash) }
            }
        }
        guard best.start >= 0 else { return }
        let hash = best.hash
        samples.append(Sample(hash: hash, position: blockStart + UInt64(best.start)))
        if samples.count == Self.limit {
            interval *= 2
            samples.removeAll { $0.position % interval >= UInt64(Self.head) }
        }
    }

    /// Builds the search index now, once, for values that are then shared by workers.
    public mutating func prepare() {
        index = FingerprintIndex(samples)
    }

    /// The part of the base that most resembles `raw`: the window around the densest 4 MiB band of distances between
    /// equal places, starting at a multiple of 1 MiB, at most `windowLength` long.
    ///
    /// A base no longer than `windowLength` is its own window. Builds the index for this one call unless the value was
    /// decoded or `prepare` was called.
    ///
    /// - Parameters:
    ///   - baseLength: length of the base in bytes, for clipping.
    /// - Returns: nil when nothing in the base is found again.
    public func window(
        for raw: UnsafeRawBufferPointer, baseLength: UInt64, windowLength: UInt64 = 64 << 20
    ) -> Range<UInt64>? {
        guard baseLength > 0, !raw.isEmpty else { return nil }
        guard baseLength > windowLength else { return 0..<baseLength }
        guard let distance = (index ?? FingerprintIndex(samples)).commonDistance(to: raw) else { return nil }
        let centre = distance + Int64(raw.count / 2)
        let latest = Int64(baseLength - windowLength)
        let start = UInt64(max(0, min(centre - Int64(windowLength / 2), latest)))
        let aligned = start & ~((1 << 20) - 1)
        return aligned..<(aligned + windowLength)
    }

    /// The stored form, with a checksum.
    public func encoded() -> [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(bytes.count + 16 * samples.count + 56)
        for value in [length, interval, UInt64(samples.count)] { bytes.append(littleEndian: value) }
        for sample in samples {
            bytes.append(littleEndian: sample.hash)
            bytes.append(littleEndian: sample.position)
        }
        return bytes + SHA256Digest.of(bytes).bytes
    }

    /// Reads the stored form and prepares the search index.
    ///
    /// - Throws: `CompressionError.damaged` for anything `encoded` would not have written.
    public init(decoding bytes: [UInt8]) throws {
        let header = Self.magic.count + 24
        guard bytes.count >= header + 32, bytes.starts(with: Self.magic),
            (bytes.count - header - 32) % 16 == 0,
            SHA256Digest.of(bytes[..<(bytes.count - 32)]).bytes.elementsEqual(bytes.suffix(32))
        else { throw CompressionError.damaged("fingerprints of a base") }
        let count = (bytes.count - header - 32) / 16
        (length, interval, samples) = bytes.withUnsafeBytes { buffer in
            let read = { (offset: Int) in buffer.littleEndian(at: offset) }
            let start = Self.magic.count
            let samples = (0..<count).map {
                Sample(hash: read(header + 16 * $0), position: read(header + 16 * $0 + 8))
            }
            return (read(start), read(start + 8), samples)
        }
        guard samples.allSatisfy({ $0.position < length }), interval >= Self.initialInterval else {
            throw CompressionError.damaged("fingerprints of a base")
        }
        prepare()
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: UInt64) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    func littleEndian(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
