// SPDX-License-Identifier: Apache-2.0

/// A CRC-32 (ISO 3309, the one of zlib and of Java's `CRC32`) under way: what `Digest.crc32` says of `Data.db`.
struct RunningCRC32: Sendable {
    private var state: UInt32 = 0xffff_ffff

    /// The value of all bytes so far.
    var value: UInt32 { ~state }

    /// Adds the bytes of `buffer`, eight at a time: SSTables are large.
    mutating func update(_ buffer: UnsafeRawBufferPointer) {
        Self.tables.withUnsafeBufferPointer { tables in
            var crc = state
            var index = 0
            let whole = buffer.count - buffer.count % 8
            while index < whole {
                let word = buffer.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian ^ UInt64(crc)
                crc = 0
                for lane in 0..<8 {
                    let byte = Int(truncatingIfNeeded: word >> (8 * UInt64(lane))) & 0xff
                    crc ^= tables[(7 - lane) << 8 | byte]
                }
                index += 8
            }
            while index < buffer.count {
                crc = tables[Int((crc ^ UInt32(buffer[index])) & 0xff)] ^ (crc >> 8)
                index += 1
            }
            state = crc
        }
    }

    /// Eight tables of 256: what a byte does that is followed by so many others.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xedb8_8320 : value >> 1 }
            tables[byte] = value
        }
        for lane in 1..<8 {
            for byte in 0..<256 {
                let before = tables[(lane - 1) << 8 | byte]
                tables[lane << 8 | byte] = (before >> 8) ^ tables[Int(before & 0xff)]
            }
        }
        return tables
    }()
}
