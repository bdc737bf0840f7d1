// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Text that looks like a dump: rows of 128 bytes made of 16-byte words, the same for the same seed.
enum SyntheticDump {
    static let rowLength = 128

    private static let words: [UInt8] = {
        var state: UInt64 = 7
        return (0..<65_536).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(97 + (state >> 33) % 26)
        }
    }()

    static func make(rows: Int, seed: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: rows * rowLength) { buffer, count in
            var state = seed
            for row in 0..<rows { write(row, to: UnsafeMutableRawBufferPointer(buffer), &state) }
            count = rows * rowLength
        }
    }

    /// Rewrites one row in `every`, at random.
    static func update(_ dump: inout [UInt8], oneRowIn every: UInt64, seed: UInt64) {
        var state = seed
        dump.withUnsafeMutableBytes { buffer in
            for row in 0..<(buffer.count / rowLength) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                if (state >> 33) % every == 0 { write(row, to: buffer, &state) }
            }
        }
    }

    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var state = seed
            for offset in stride(from: 0, to: count - count % 4, by: 4) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                UnsafeMutableRawBufferPointer(buffer).storeBytes(
                    of: UInt32(truncatingIfNeeded: state >> 32), toByteOffset: offset, as: UInt32.self)
            }
            filled = count - count % 4
        }
    }

    private static func write(_ row: Int, to buffer: UnsafeMutableRawBufferPointer, _ state: inout UInt64) {
        words.withUnsafeBytes { words in
            guard let words = words.baseAddress, let target = buffer.baseAddress else { return }
            for word in 0..<(rowLength / 16) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                memcpy(target + (row * rowLength + word * 16), words + Int(state >> 52) * 16, 16)
            }
        }
        buffer[row * rowLength + rowLength - 1] = UInt8(ascii: "\n")
    }
}
