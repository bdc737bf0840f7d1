// SPDX-License-Identifier: Apache-2.0

/// Whole buffers in and out, for things that fit in memory, such as a bundle's contents.
public enum Zstandard {
    /// One frame around `bytes`, readable by stock `zstd -d`.
    ///
    /// - Throws: `CompressionError`.
    public static func compress(_ bytes: [UInt8], level: Int = FrameCompressor.fullLevel) throws -> [UInt8] {
        try bytes.withUnsafeBytes { try FrameCompressor().compress($0, level: level) }
    }

    /// The bytes of one frame.
    ///
    /// - Parameter limit: the most the frame may hold; compared with what it states before memory is taken.
    /// - Throws: `CompressionError`.
    public static func decompress(_ frame: [UInt8], limit: Int) throws -> [UInt8] {
        try frame.withUnsafeBytes { frame in
            let stated = try FrameHeader(frame).contentSize
            guard stated <= UInt64(max(0, limit)) else {
                throw CompressionError.tooLarge(limit: UInt64(max(0, limit)), stated: stated)
            }
            return try FrameDecoder().decode(frame: frame, expectedSize: Int(stated))
        }
    }
}
