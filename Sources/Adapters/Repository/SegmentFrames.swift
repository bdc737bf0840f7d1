// SPDX-License-Identifier: Apache-2.0
import Compression

/// Decodes frames held in arrays, with or without a window of a base.
enum SegmentFrames {
    static func decode(_ frame: [UInt8], prefix: [UInt8]?, size: UInt64) throws -> [UInt8] {
        let decoder = try FrameDecoder()
        return try frame.withUnsafeBytes { frame in
            guard let prefix else { return try decoder.decode(frame: frame, prefix: nil, expectedSize: Int(size)) }
            return try prefix.withUnsafeBytes {
                try decoder.decode(frame: frame, prefix: $0, expectedSize: Int(size))
            }
        }
    }

    /// Whether the frame decodes to exactly `raw`.
    static func decodes(_ frame: [UInt8], to raw: UnsafeRawBufferPointer, prefix: [UInt8]?) throws -> Bool {
        let decoder = try FrameDecoder()
        return try frame.withUnsafeBytes { frame in
            guard let prefix else { return try decoder.verify(frame: frame, equals: raw, prefix: nil) }
            return try prefix.withUnsafeBytes { try decoder.verify(frame: frame, equals: raw, prefix: $0) }
        }
    }
}
