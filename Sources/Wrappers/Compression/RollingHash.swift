// SPDX-License-Identifier: Apache-2.0

/// A hash of the last 64 bytes: every byte shifts the value by one bit, so the 65th is gone by itself.
enum RollingHash {
    /// Bytes that determine a value.
    static let span = 64

    /// One constant per byte value, out of splitmix64 with seed 1; part of the stored form of fingerprints.
    static let table: [UInt64] = {
        var state: UInt64 = 1
        return (0..<256).map { _ in
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }()

    /// Whether a value may be a sample: one in 64 may, so that most positions need no look-up.
    @inline(__always)
    static func isSampled(_ hash: UInt64) -> Bool { hash &>> 58 == 0 }

    /// The value of the 64 bytes at `start`.
    static func value(_ bytes: UnsafePointer<UInt8>, _ table: UnsafePointer<UInt64>) -> UInt64 {
        var hash: UInt64 = 0
        for index in 0..<span { hash = (hash << 1) &+ table[Int(bytes[index])] }
        return hash
    }
}
