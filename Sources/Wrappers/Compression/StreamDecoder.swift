// SPDX-License-Identifier: Apache-2.0
import CZstd
import Synchronization

/// Reads one zstd frame of any length, piece by piece, and nothing else: its end counts only with the checksum, and with
/// nothing behind it. Calls block.
public final class StreamDecoder {
    private let steps: FrameSteps
    private let input: UnsafeMutableRawBufferPointer
    private let output: UnsafeMutableRawBufferPointer
    private let read: (UnsafeMutableRawBufferPointer) throws -> Int
    private var filled = 0
    private var position = 0
    private var isAtEnd = false

    /// - Parameter read: gives some of the frame's bytes; 0 when there are no more.
    /// - Throws: `CompressionError`.
    public init(read: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) throws {
        self.read = read
        steps = try FrameSteps()
        input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        output = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    }

    deinit {
        input.deallocate()
        output.deallocate()
    }

    /// The next bytes, valid until the next call; nil at the proven end.
    ///
    /// - Throws: `CompressionError.truncated`, `.damaged`, `.trailingBytes`; what `read` throws.
    public func next() throws -> UnsafeRawBufferPointer? {
        while !isAtEnd {
            // Without new input first: there may be more in the context than fitted.
            let count = try steps.decode(
                UnsafeRawBufferPointer(rebasing: input[..<filled]), &position, into: output, &isAtEnd)
            if count > 0 { return UnsafeRawBufferPointer(rebasing: output[..<count]) }
            if isAtEnd { break }
            filled = try read(input)
            position = 0
            if filled == 0 { throw CompressionError.truncated }
        }
        guard position == filled else { throw CompressionError.trailingBytes }
        filled = try read(input)
        position = 0
        guard filled == 0 else { throw CompressionError.trailingBytes }
        return nil
    }
}

/// One decoding context, step by step.
///
/// `@unchecked` because the C context is a plain pointer: only one thread at a time touches it, under `turn`.
final class FrameSteps: @unchecked Sendable {
    private let context: OpaquePointer
    private let turn = Mutex(())

    init() throws {
        guard let context = ZSTD_createDCtx() else { throw CompressionLibrary.outOfMemory("ZSTD_createDCtx") }
        self.context = context
        try CompressionLibrary.check(
            "ZSTD_DCtx_setParameter(windowLogMax)",
            ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, CompressionLibrary.windowLogLimit))
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Decodes from `input` at `position` into `output`; gives the bytes that came out. After the frame's end nothing more
    /// is taken.
    func decode(
        _ input: UnsafeRawBufferPointer, _ position: inout Int, into output: UnsafeMutableRawBufferPointer,
        _ isAtEnd: inout Bool
    ) throws(CompressionError) -> Int {
        guard !isAtEnd else { return 0 }
        var from = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: position)
        var into = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
        let rest = turn.withLock { _ in ZSTD_decompressStream(context, &into, &from) }
        guard ZSTD_isError(rest) == 0 else {
            throw CompressionError.damaged(String(cString: ZSTD_getErrorName(rest)))
        }
        position = from.pos
        isAtEnd = rest == 0
        return into.pos
    }
}
