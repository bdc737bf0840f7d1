// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Glibc

/// The layout of a base copy. Numbers are 64 bits, little-endian:
/// ```
/// "salvor-base-copy 1\n"
/// zstd frames, each around 4 MiB of the stream (the last one shorter)
/// index: per frame its offset, its length, and the SHA-256 of its compressed bytes
/// trailer: raw length, frame count, index offset, SHA-256 of the raw stream, SHA-256 of index and trailer so far
/// ```
/// The digests are of the compressed bytes because those are five times fewer; zstd's own checksum covers the way back.
enum BaseCopyFormat {
    static let magic = Array("salvor-base-copy 1\n".utf8)
    static let frameLength = 4 << 20
    static let entryLength = 48
    static let trailerLength = 88
    static let level = 1

    /// One frame's place and digest.
    struct Entry {
        var offset: UInt64
        var length: UInt64
        var sha256: [UInt8]
    }

    static func failure(_ path: String, _ call: String) -> CompressionError {
        .file(path: path, call: call, reason: String(cString: strerror(errno)))
    }
}
