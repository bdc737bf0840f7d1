// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CZstd
import Glibc
import Synchronization

/// Reads the frames of `FrameCompressor`, and nothing else: exactly one frame with a checksum and a stated content size.
/// Keep one per worker; calls from several threads take turns.
///
/// `@unchecked` because the C context and the buffer are plain pointers: only one thread at a time touches them, under
/// `turn`.
public final class FrameDecoder: @unchecked Sendable {
    private let context: OpaquePointer
    private let chunk: UnsafeMutableRawBufferPointer
    private let turn = Mutex(())

    public init() throws {
        guard let context = ZSTD_createDCtx() else { throw CompressionLibrary.outOfMemory("ZSTD_createDCtx") }
        self.context = context
        chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: ZSTD_DStreamOutSize(), alignment: 64)
    }

    deinit {
        chunk.deallocate()
        ZSTD_freeDCtx(context)
    }

    /// Decodes `frame` and compares with `raw`: a self-contained frame chunk by chunk, in about 2 MiB of memory; one with a
    /// prefix as a whole, since zstd would keep a window of the frame's size anyway.
    ///
    /// - Returns: whether the frame is whole, undamaged and holds exactly `raw`; false when it holds something else.
    /// - Throws: `CompressionError` when it cannot be decoded.
    public func verify(
        frame: UnsafeRawBufferPointer, equals raw: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer? = nil
    ) throws -> Bool {
        guard try FrameHeader(frame).contentSize == UInt64(raw.count) else { return false }
        if let prefix {
            var decoded = try decode(frame: frame, prefix: prefix, expectedSize: raw.count)
            defer { LargeArrays.giveBack(&decoded) }
            return decoded.withUnsafeBytes { $0.elementsEqualInMemory(raw) }
        }
        return try turn.withLock { _ in
            try Self.prepare(context, nil)
            var input = ZSTD_inBuffer(src: frame.baseAddress, size: frame.count, pos: 0)
            var offset = 0
            while true {
                var output = ZSTD_outBuffer(dst: chunk.baseAddress, size: chunk.count, pos: 0)
                let before = input.pos
                let rest = ZSTD_decompressStream(context, &output, &input)
                if ZSTD_isError(rest) != 0 { throw Self.damage(rest) }
                guard output.pos <= raw.count - offset else { return false }
                if output.pos > 0, let decoded = output.dst, let expected = raw.baseAddress {
                    guard memcmp(decoded, expected.advanced(by: offset), output.pos) == 0 else { return false }
                }
                offset += output.pos
                if rest == 0 { break }
                // No room was missing and nothing moved: the input is used up before the frame's end.
                if output.pos < output.size, input.pos == input.size, input.pos == before || output.pos == 0 {
                    throw CompressionError.truncated
                }
            }
            guard input.pos == input.size else { throw CompressionError.trailingBytes }
            return offset == raw.count
        }
    }

    /// All bytes of `frame`.
    ///
    /// - Parameter expectedSize: what the frame must hold; compared with what it states before memory is taken.
    /// - Throws: `CompressionError`, also for truncated and trailing bytes.
    public func decode(
        frame: UnsafeRawBufferPointer, prefix: UnsafeRawBufferPointer? = nil, expectedSize: Int
    ) throws -> [UInt8] {
        let stated = try FrameHeader(frame).contentSize
        guard let expected = UInt64(exactly: expectedSize), stated == expected else {
            throw CompressionError.wrongSize(expected: UInt64(max(0, expectedSize)), stated: stated)
        }
        let length = ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
        if ZSTD_isError(length) != 0 { throw Self.damage(length) }
        guard length == frame.count else { throw CompressionError.trailingBytes }
        return try turn.withLock { _ in
            try Self.prepare(context, prefix)
            return try LargeArrays.make(expectedSize) { output, count in
                let size = ZSTD_decompressDCtx(
                    context, output.baseAddress, expectedSize, frame.baseAddress, frame.count)
                if ZSTD_isError(size) != 0 { throw Self.damage(size) }
                guard size == expectedSize else {
                    throw CompressionError.wrongSize(expected: expected, stated: UInt64(size))
                }
                count = size
            }
        }
    }

    private static func prepare(_ context: OpaquePointer, _ prefix: UnsafeRawBufferPointer?) throws {
        try CompressionLibrary.check("ZSTD_DCtx_reset", ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters))
        try CompressionLibrary.check(
            "ZSTD_DCtx_setParameter(windowLogMax)",
            ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, CompressionLibrary.windowLogLimit))
        if let prefix {
            try CompressionLibrary.check(
                "ZSTD_DCtx_refPrefix", ZSTD_DCtx_refPrefix(context, prefix.baseAddress, prefix.count))
        }
    }

    private static func damage(_ code: Int) -> CompressionError {
        let reason = String(cString: ZSTD_getErrorName(code))
        // libzstd says "Src size is incorrect" when bytes are missing (zstd_errors.h: ZSTD_error_srcSize_wrong, 72).
        return code == -72 ? .truncated : .damaged(reason)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func elementsEqualInMemory(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count, let left = baseAddress, let right = other.baseAddress else {
            return count == other.count
        }
        return memcmp(left, right, count) == 0
    }
}

/// What the first bytes of a frame state (RFC 8878, 3.1.1.1).
struct FrameHeader {
    /// Bytes the frame says it holds.
    let contentSize: UInt64

    /// - Throws: `CompressionError` unless it begins a frame with checksum and content size.
    init(_ frame: UnsafeRawBufferPointer) throws(CompressionError) {
        guard frame.count >= 5 else { throw .truncated }
        guard frame[0] == 0x28, frame[1] == 0xb5, frame[2] == 0x2f, frame[3] == 0xfd else {
            throw .damaged("no frame begins here")
        }
        guard frame[4] & 0x04 != 0 else { throw .damaged("it has no checksum") }
        let size = ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
        // zstd.h: ZSTD_CONTENTSIZE_UNKNOWN is 2^64 - 1, ZSTD_CONTENTSIZE_ERROR 2^64 - 2.
        guard size != UInt64.max - 1 else { throw .truncated }
        guard size != UInt64.max else { throw .damaged("it does not state its size") }
        contentSize = size
    }
}
