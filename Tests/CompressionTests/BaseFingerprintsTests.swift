// SPDX-License-Identifier: Apache-2.0
import Compression
import TestSupport
import Testing

@Suite("fingerprints of a base")
struct BaseFingerprintsTests {
    static let slice = 8 << 20
    static let window: UInt64 = 16 << 20

    static func fingerprints(_ base: [UInt8], chunk: Int = 1 << 20) -> BaseFingerprints {
        var fingerprints = BaseFingerprints()
        base.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: chunk) {
                fingerprints.add(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + chunk, bytes.count)]))
            }
        }
        fingerprints.prepare()
        return fingerprints
    }

    /// Bytes of all slices when each is made against its window, or stands alone without one.
    static func storedBytes(_ new: [UInt8], base: [UInt8], _ fingerprints: BaseFingerprints) throws -> Int {
        let compressor = try FrameCompressor()
        return try new.withUnsafeBytes { new in
            try stride(from: 0, to: new.count, by: slice).reduce(0) { total, start in
                let raw = UnsafeRawBufferPointer(rebasing: new[start..<min(start + slice, new.count)])
                let window = fingerprints.window(for: raw, baseLength: UInt64(base.count), windowLength: window)
                guard let window else { return try total + compressor.compress(raw).count }
                return try base.withUnsafeBytes { base in
                    let prefix = UnsafeRawBufferPointer(
                        rebasing: base[Int(window.lowerBound)..<Int(window.upperBound)])
                    return try total + compressor.compress(raw, level: FrameCompressor.deltaLevel, prefix: prefix).count
                }
            }
        }
    }

    @Test("one row in a hundred rewritten: the deltas take less than 1 % of the raw bytes, in place and shifted")
    func deltas() throws {
        let base = SyntheticDump.make(rows: 400_000, seed: 1)
        let fingerprints = Self.fingerprints(base)
        var new = base
        SyntheticDump.update(&new, oneRowIn: 100, seed: 2)
        let inPlace = try Self.storedBytes(new, base: base, fingerprints)
        #expect(inPlace < new.count / 100)
        // Twenty megabytes of another table in front, more than half a window.
        let table = SyntheticDump.make(rows: 160_000, seed: 3)
        let alone = try Self.storedBytes(table, base: base, Self.fingerprints([]))
        let shifted = try Self.storedBytes(table + new, base: base, fingerprints)
        #expect(shifted < alone + alone / 10 + new.count / 50)
    }

    @Test("a window is aligned, within the base, and centred on what matches")
    func placing() throws {
        let base = SyntheticDump.make(rows: 400_000, seed: 1)
        let fingerprints = Self.fingerprints(base)
        func window(_ range: Range<Int>) -> Range<UInt64>? {
            base.withUnsafeBytes {
                fingerprints.window(
                    for: UnsafeRawBufferPointer(rebasing: $0[range]), baseLength: UInt64(base.count),
                    windowLength: Self.window)
            }
        }
        for start in [0, 20_000_001, base.count - Self.slice] {
            let found = try #require(window(start..<(start + Self.slice)))
            #expect(found.lowerBound % (1 << 20) == 0)
            #expect(UInt64(found.count) == Self.window && found.upperBound <= UInt64(base.count))
            #expect(found.contains(UInt64(start)))
            #expect(found.upperBound + (1 << 20) >= UInt64(start + Self.slice))
        }
    }

    @Test("nothing in common gives no window; a base no longer than the window is its own")
    func nothing() {
        let base = SyntheticDump.make(rows: 200_000, seed: 1)
        let fingerprints = Self.fingerprints(base)
        SyntheticDump.noise(4 << 20, seed: 5).withUnsafeBytes {
            #expect(fingerprints.window(for: $0, baseLength: UInt64(base.count), windowLength: Self.window) == nil)
            #expect(fingerprints.window(for: $0, baseLength: 1000, windowLength: Self.window) == 0..<1000)
            #expect(fingerprints.window(for: $0, baseLength: 0, windowLength: Self.window) == nil)
        }
    }

    @Test("zeros and blanks, found everywhere, lead nowhere and cost nothing")
    func repetitive() {
        var base = [UInt8](repeating: 0x20, count: 20 << 20)
        base += SyntheticDump.make(rows: 50_000, seed: 1)
        let fingerprints = Self.fingerprints(base)
        [UInt8](repeating: 0x20, count: 4 << 20).withUnsafeBytes {
            #expect(fingerprints.window(for: $0, baseLength: UInt64(base.count), windowLength: Self.window) == nil)
        }
    }

    @Test("the pieces a base arrives in make no difference")
    func chunks() {
        let base = SyntheticDump.make(rows: 10_000, seed: 1)
        let whole = Self.fingerprints(base, chunk: base.count).encoded()
        for chunk in [1000, 65_537, 65_536] { #expect(Self.fingerprints(base, chunk: chunk).encoded() == whole) }
    }

    @Test("the stored form comes back, and no damage to it is taken")
    func stored() throws {
        let base = SyntheticDump.make(rows: 200_000, seed: 1)
        let fingerprints = Self.fingerprints(base)
        let stored = fingerprints.encoded()
        #expect(stored.count < base.count / 3000)
        let read = try BaseFingerprints(decoding: stored)
        #expect(read.length == UInt64(base.count))
        #expect(read.encoded() == stored)
        for position in stride(from: 0, to: stored.count, by: 97) {
            var damaged = stored
            damaged[position] ^= 4
            #expect(throws: CompressionError.self) { try BaseFingerprints(decoding: damaged) }
            #expect(throws: CompressionError.self) { try BaseFingerprints(decoding: Array(stored[..<position])) }
        }
    }
}
