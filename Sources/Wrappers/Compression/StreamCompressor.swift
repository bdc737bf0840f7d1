// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import CZstd
import Synchronization

/// Makes one zstd frame, with checksum, around a stream of any length; stock `zstd -d` reads it. What comes out is decoded
/// again on the way; the frame's checksum, made of what went in, must fit what comes out. Calls from several threads
/// take turns.
///
/// `@unchecked` because the C context and the buffer are plain pointers: only one thread at a time touches them, under
/// `state`.
public final class StreamCompressor: ByteSink, @unchecked Sendable {
    private struct State {
        var length: UInt64 = 0
        var proof: FrameProof
    }

    private let context: OpaquePointer
    private let chunk: UnsafeMutableRawBufferPointer
    private let sink: any ByteSink
    private let state: Mutex<State>

    /// - Parameters:
    ///   - sink: where the frame goes, in pieces of about 128 KiB.
    ///   - threads: compressing threads; 1: the caller's.
    /// - Throws: `CompressionError`.
    public init(into sink: any ByteSink, level: Int = FrameCompressor.fullLevel, threads: Int = 1) throws {
        let proof = try FrameProof()
        guard let context = ZSTD_createCCtx() else { throw CompressionLibrary.outOfMemory("ZSTD_createCCtx") }
        self.context = context
        self.sink = sink
        chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: ZSTD_CStreamOutSize(), alignment: 64)
        state = Mutex(State(proof: proof))
        try CompressionLibrary.check(
            "ZSTD_CCtx_setParameter(compressionLevel)",
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(clamping: level)))
        try CompressionLibrary.check(
            "ZSTD_CCtx_setParameter(checksumFlag)", ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
        // A library that was built without threads says no, and compresses on the caller's.
        if threads > 1 { _ = ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, Int32(clamping: min(threads, 16))) }
    }

    deinit {
        chunk.deallocate()
        ZSTD_freeCCtx(context)
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard !bytes.isEmpty else { return }
        try state.withLock { state in
            state.length += UInt64(bytes.count)
            try step(bytes, ZSTD_e_continue, &state)
        }
    }

    /// Ends the frame.
    ///
    /// - Throws: `CompressionError.damaged` when the frame does not decode to what was written; what the sink throws.
    public func finish() throws {
        try state.withLock { state in
            try step(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end, &state)
            guard try state.proof.finish() == state.length else {
                throw CompressionError.damaged("it does not decode to what went in")
            }
        }
    }

    private func step(_ bytes: UnsafeRawBufferPointer, _ end: ZSTD_EndDirective, _ state: inout State) throws {
        var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var output = ZSTD_outBuffer(dst: chunk.baseAddress, size: chunk.count, pos: 0)
            let rest = try CompressionLibrary.check(
                "ZSTD_compressStream2", ZSTD_compressStream2(context, &output, &input, end))
            if output.pos > 0 {
                let piece = UnsafeRawBufferPointer(rebasing: chunk[..<output.pos])
                try state.proof.update(piece)
                try sink.write(piece)
            }
            if end == ZSTD_e_end ? rest == 0 : input.pos == input.size { return }
        }
    }
}

/// Decodes a frame while it is made, which compares its checksum, and counts what comes out.
///
/// `@unchecked` because the buffer is a plain pointer: its one owner calls it under a lock of its own.
private final class FrameProof: @unchecked Sendable {
    private let steps: FrameSteps
    private let chunk: UnsafeMutableRawBufferPointer
    private var length: UInt64 = 0
    private var isAtEnd = false

    init() throws {
        steps = try FrameSteps()
        chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: ZSTD_DStreamOutSize(), alignment: 64)
    }

    deinit { chunk.deallocate() }

    func update(_ bytes: UnsafeRawBufferPointer) throws {
        var position = 0
        while true {
            let before = position
            let count = try steps.decode(bytes, &position, into: chunk, &isAtEnd)
            length += UInt64(count)
            if isAtEnd || (position == bytes.count && count < chunk.count) { return }
            if position == before, count == 0 { return }
        }
    }

    func finish() throws -> UInt64 {
        guard isAtEnd else { throw CompressionError.truncated }
        return length
    }
}
