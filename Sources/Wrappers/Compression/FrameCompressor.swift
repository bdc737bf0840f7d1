// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CZstd
import Synchronization

/// Makes zstd frames that stock `zstd -d` reads. Keep one per worker: its context is reused, and calls from several
/// threads take turns.
///
/// `@unchecked` because the C context is a plain pointer: only one thread at a time touches it, under `turn`.
public final class FrameCompressor: @unchecked Sendable {
    /// The level for self-contained frames: on dumps, as small as higher levels and about 280 MB/s a core.
    public static let fullLevel = 3
    /// The level for frames with a prefix: smaller and faster there than level 3, since long-distance matching does the work.
    public static let deltaLevel = 1
    /// The level for what does not compress anyway.
    private static let incompressibleLevel = -5

    private let context: OpaquePointer
    private let turn = Mutex(())

    public init() throws {
        guard let context = ZSTD_createCCtx() else { throw CompressionLibrary.outOfMemory("ZSTD_createCCtx") }
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// One frame with checksum and content size around all of `raw`.
    ///
    /// - Parameters:
    ///   - level: zstd's level; lowered by itself when samples of `raw` show that it does not compress.
    ///   - prefix: what the frame may refer to, as `zstd --patch-from` would; the decoder needs the very same bytes.
    ///     Together with `raw` at most 128 MiB, and every match is found only with long-distance matching, which is on.
    /// - Throws: `CompressionError`.
    public func compress(
        _ raw: UnsafeRawBufferPointer, level: Int = fullLevel, prefix: UnsafeRawBufferPointer? = nil
    ) throws -> [UInt8] {
        try turn.withLock { _ in
            let isHopeless = prefix == nil && Self.looksIncompressible(raw, context)
            try Self.configure(context, level: isHopeless ? Self.incompressibleLevel : level, hasPrefix: prefix != nil)
            if let prefix {
                try CompressionLibrary.check(
                    "ZSTD_CCtx_refPrefix", ZSTD_CCtx_refPrefix(context, prefix.baseAddress, prefix.count))
            }
            return try LargeArrays.make(ZSTD_compressBound(raw.count)) { output, count in
                count = try CompressionLibrary.check(
                    "ZSTD_compress2",
                    ZSTD_compress2(context, output.baseAddress, output.count, raw.baseAddress, raw.count))
            }
        }
    }

    private static func configure(_ context: OpaquePointer, level: Int, hasPrefix: Bool) throws {
        try CompressionLibrary.check("ZSTD_CCtx_reset", ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters))
        func set(_ name: String, _ parameter: ZSTD_cParameter, _ value: Int32) throws {
            try CompressionLibrary.check(
                "ZSTD_CCtx_setParameter(\(name))", ZSTD_CCtx_setParameter(context, parameter, value))
        }
        try set("compressionLevel", ZSTD_c_compressionLevel, Int32(clamping: level))
        try set("checksumFlag", ZSTD_c_checksumFlag, 1)
        try set("contentSizeFlag", ZSTD_c_contentSizeFlag, 1)
        if hasPrefix {
            try set("enableLongDistanceMatching", ZSTD_c_enableLongDistanceMatching, 1)
            try set("windowLog", ZSTD_c_windowLog, CompressionLibrary.windowLogLimit)
        }
    }

    /// Whether eight pieces of 64 KiB out of `raw`, compressed at level 1, all keep at least 97 % of their size.
    private static func looksIncompressible(_ raw: UnsafeRawBufferPointer, _ context: OpaquePointer) -> Bool {
        let (piece, pieces) = (64 << 10, 8)
        guard raw.count >= 4 * piece * pieces else { return false }
        let bound = ZSTD_compressBound(piece)
        return withUnsafeTemporaryAllocation(byteCount: bound, alignment: 16) { scratch in
            for index in 0..<pieces {
                let start = (raw.count - piece) / (pieces - 1) * index
                let size = ZSTD_compressCCtx(
                    context, scratch.baseAddress, bound, raw.baseAddress?.advanced(by: start), piece, 1)
                // An error here only means no short cut; the real compression reports its own.
                guard ZSTD_isError(size) == 0, size >= piece / 100 * 97 else { return false }
            }
            return true
        }
    }
}
