// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Streams of any length as one frame")
struct StreamTests {
    /// Gathers what is written.
    final class Gathered: ByteSink {
        private let kept = Mutex<[UInt8]>([])
        var bytes: [UInt8] { kept.withLock { $0 } }
        func write(_ bytes: UnsafeRawBufferPointer) throws { kept.withLock { $0.append(contentsOf: bytes) } }
    }

    func frame(_ bytes: [UInt8], pieces: Int, threads: Int = 1) throws -> [UInt8] {
        let gathered = Gathered()
        let compressor = try StreamCompressor(into: gathered, threads: threads)
        var rest = bytes[...]
        while !rest.isEmpty {
            try compressor.write(Array(rest.prefix(pieces)))
            rest = rest.dropFirst(pieces)
        }
        try compressor.finish()
        return gathered.bytes
    }

    /// Decodes, the input given in pieces.
    func decode(_ frame: [UInt8], pieces: Int = 1000) throws -> [UInt8] {
        var rest = frame[...]
        let decoder = try StreamDecoder { buffer in
            let part = rest.prefix(min(pieces, buffer.count))
            buffer.copyBytes(from: part)
            rest = rest.dropFirst(part.count)
            return part.count
        }
        var bytes: [UInt8] = []
        while let piece = try decoder.next() { bytes.append(contentsOf: piece) }
        return bytes
    }

    func sample(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { $0 % 3 == 0 ? UInt8(truncatingIfNeeded: generator.next()) : UInt8($0 >> 8 & 15) }
    }

    @Test("what goes in comes out, for empty, small and large streams, also of stock zstd", arguments: [1, 3])
    func roundTrip(threads: Int) async throws {
        for (count, pieces) in [(0, 1), (1, 1), (5000, 7), (131_072, 131_072), (3_000_000, 100_000)] {
            let bytes = sample(count)
            let frame = try frame(bytes, pieces: pieces, threads: threads)
            #expect(try decode(frame) == bytes)
            #expect(try decode(frame, pieces: 1 << 20) == bytes)
            let stock = try await StockProgram.run("zstd", ["-d", "-c"], input: frame)
            #expect(stock.status == 0 && stock.output == bytes)
        }
    }

    @Test("a frame cut anywhere, changed, followed by something, or none at all is an error")
    func damage() throws {
        let bytes = sample(20_000)
        let frame = try frame(bytes, pieces: 1000)
        for length in Array(0..<40) + [frame.count / 2, frame.count - 4, frame.count - 1] {
            #expect(throws: CompressionError.self) { try decode(Array(frame[..<length])) }
        }
        #expect(throws: CompressionError.trailingBytes) { try decode(frame + [0]) }
        #expect(throws: CompressionError.trailingBytes) { try decode(frame + frame, pieces: frame.count) }
        var changed = frame
        changed[frame.count / 2] ^= 1
        #expect(throws: CompressionError.self) { try decode(changed) }
        #expect(throws: CompressionError.self) { try decode(bytes) }
    }

    @Test("a sink that fails is told of")
    func failingSink() throws {
        struct Full: Error {}
        let compressor = try StreamCompressor(into: ClosureSink { _ in throw Full() })
        #expect(throws: Full.self) {
            try compressor.write(sample(2_000_000))
            try compressor.finish()
        }
    }
}
