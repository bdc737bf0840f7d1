// SPDX-License-Identifier: Apache-2.0

/// The CRC-64 at the end of every RDB: polynomial 0xad93d23594c935a9, reflected, start and final value 0 ("Jones").
struct RDBChecksum: Sendable {
    /// The checksum of all bytes so far.
    private(set) var value: UInt64 = 0

    /// Eight tables of 256, so that eight bytes cost eight look-ups instead of eight dependent steps.
    private static let tables: [UInt64] = {
        var tables = [UInt64](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var remainder = UInt64(byte)
            for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0x95ac_9329_ac4b_c9b5 : remainder >> 1 }
            tables[byte] = remainder
        }
        for byte in 0..<256 {
            for table in 1..<8 {
                let before = tables[(table - 1) * 256 + byte]
                tables[table * 256 + byte] = before >> 8 ^ tables[Int(before & 255)]
            }
        }
        return tables
    }()

    /// Adds the bytes of `buffer`.
    mutating func update(_ buffer: UnsafeRawBufferPointer) {
        var crc = value
        Self.tables.withUnsafeBufferPointer { tables in
            var position = 0
            while position + 8 <= buffer.count {
                let word = crc ^ UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                var next: UInt64 = 0
                for byte in 0..<8 {
                    next ^= tables[(7 - byte) * 256 + Int(word >> (UInt64(byte) * 8) & 255)]
                }
                crc = next
                position += 8
            }
            while position < buffer.count {
                crc = tables[Int((crc ^ UInt64(buffer[position])) & 255)] ^ crc >> 8
                position += 1
            }
        }
        value = crc
    }
}
