// SPDX-License-Identifier: Apache-2.0

/// Finds a base's samples in new data: a bitmap that fits a cache refuses almost every position, a table sorted by hash
/// answers for the rest.
struct FingerprintIndex: Sendable {
    /// Hash values that occur more often are found everywhere and tell nothing.
    private static let mostCopies = 4
    /// As many hits are enough for one call, so that repetitive data cost no more than other data.
    private static let hitLimit = 1 << 16
    private static let band: Int64 = 4 << 20
    private static let mixer: UInt64 = 0x9e37_79b9_7f4a_7c15

    private let hashes: [UInt64]
    private let positions: [UInt64]
    private let bitmap: [UInt64]
    private let shift: UInt64

    init(_ samples: [BaseFingerprints.Sample]) {
        let sorted = samples.sorted { ($0.hash, $0.position) < ($1.hash, $1.position) }
        var (hashes, positions): ([UInt64], [UInt64]) = ([], [])
        hashes.reserveCapacity(sorted.count)
        positions.reserveCapacity(sorted.count)
        var start = 0
        while start < sorted.count {
            var end = start + 1
            while end < sorted.count, sorted[end].hash == sorted[start].hash { end += 1 }
            if end - start <= Self.mostCopies {
                for sample in sorted[start..<end] {
                    hashes.append(sample.hash)
                    positions.append(sample.position)
                }
            }
            start = end
        }
        // A word a sample and two bits in it: about one value in 600 is looked up in vain.
        var bits: UInt64 = 10
        while bits < 20, 1 << bits < hashes.count { bits += 1 }
        shift = 64 - bits
        var bitmap = [UInt64](repeating: 0, count: 1 << Int(bits))
        for hash in hashes {
            let mixed = hash &* Self.mixer
            bitmap[Int(mixed >> (64 - bits))] |= Self.mask(mixed)
        }
        (self.hashes, self.positions, self.bitmap) = (hashes, positions, bitmap)
    }

    /// Two bits of a word, out of parts of the mixed hash that do not choose the word.
    @inline(__always)
    private static func mask(_ mixed: UInt64) -> UInt64 {
        (1 &<< ((mixed &>> 38) & 63)) | (1 &<< ((mixed &>> 32) & 63))
    }

    /// How far the base's bytes lie behind (positive) or before (negative) the same bytes in `raw`, for most of what is
    /// found; nil when nothing is.
    func commonDistance(to raw: UnsafeRawBufferPointer) -> Int64? {
        guard raw.count >= RollingHash.span, !hashes.isEmpty else { return nil }
        var distances: [Int64] = []
        distances.reserveCapacity(4096)
        let bytes = raw.bindMemory(to: UInt8.self)
        RollingHash.table.withUnsafeBufferPointer { table in
            bitmap.withUnsafeBufferPointer { bitmap in
                guard let bytes = bytes.baseAddress, let table = table.baseAddress, let bitmap = bitmap.baseAddress
                else { return }
                scan(bytes, raw.count, table, bitmap, &distances)
            }
        }
        return Self.densest(&distances)
    }

    private func scan(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ table: UnsafePointer<UInt64>, _ bitmap: UnsafePointer<UInt64>,
        _ distances: inout [Int64]
    ) {
        var hash = RollingHash.value(bytes, table)
        var last = ~hash
        var position = RollingHash.span
        look(up: hash, endingAt: position, bitmap, &last, &distances)
        // Two bytes a turn: the second value does not wait for the first, which halves the chain of dependent steps.
        while position &+ 1 < count {
            let first = table[Int(bytes[position])]
            let middle = (hash &<< 1) &+ first
            hash = (hash &<< 2) &+ ((first &<< 1) &+ table[Int(bytes[position &+ 1])])
            position &+= 2
            if RollingHash.isSampled(middle) {
                look(up: middle, endingAt: position &- 1, bitmap, &last, &distances)
            }
            if RollingHash.isSampled(hash) {
                look(up: hash, endingAt: position, bitmap, &last, &distances)
                if distances.count >= Self.hitLimit { return }
            }
        }
        guard position < count else { return }
        look(
            up: (hash &<< 1) &+ table[Int(bytes[position])], endingAt: position &+ 1, bitmap, &last, &distances)
    }

    @inline(never)
    private func look(
        up hash: UInt64, endingAt end: Int, _ bitmap: UnsafePointer<UInt64>, _ last: inout UInt64,
        _ distances: inout [Int64]
    ) {
        let mixed = hash &* Self.mixer
        let mask = Self.mask(mixed)
        // The same value again is a run of equal bytes.
        guard bitmap[Int(truncatingIfNeeded: mixed &>> shift)] & mask == mask, hash != last else { return }
        last = hash
        let start = Int64(end &- RollingHash.span)
        var index = firstIndex(of: hash)
        while index < hashes.count, hashes[index] == hash {
            distances.append(Int64(bitPattern: positions[index]) &- start)
            index &+= 1
        }
    }

    private func firstIndex(of hash: UInt64) -> Int {
        var (low, high) = (0, hashes.count)
        while low < high {
            let middle = (low &+ high) &>> 1
            if hashes[middle] < hash { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The median of the densest band; of equally dense ones the lowest.
    private static func densest(_ distances: inout [Int64]) -> Int64? {
        guard !distances.isEmpty else { return nil }
        distances.sort()
        var best = 0..<1
        var start = 0
        for end in distances.indices {
            while distances[end] - distances[start] > band { start += 1 }
            if end + 1 - start > best.count { best = start..<(end + 1) }
        }
        return distances[(best.lowerBound + best.upperBound) / 2]
    }
}
