// SPDX-License-Identifier: Apache-2.0
import Compression
import Foundation
import TestSupport
import Testing

@Suite("zstd frames")
struct FrameTests {
    let compressor: FrameCompressor
    let decoder: FrameDecoder

    init() throws {
        (compressor, decoder) = (try FrameCompressor(), try FrameDecoder())
    }

    func frame(_ raw: [UInt8], prefix: [UInt8]? = nil) throws -> [UInt8] {
        try raw.withUnsafeBytes { raw in
            guard let prefix else { return try compressor.compress(raw) }
            return try prefix.withUnsafeBytes {
                try compressor.compress(raw, level: FrameCompressor.deltaLevel, prefix: $0)
            }
        }
    }

    func decode(_ frame: [UInt8], prefix: [UInt8]? = nil, size: Int) throws -> [UInt8] {
        try frame.withUnsafeBytes { frame in
            guard let prefix else { return try decoder.decode(frame: frame, expectedSize: size) }
            return try prefix.withUnsafeBytes {
                try decoder.decode(frame: frame, prefix: $0, expectedSize: size)
            }
        }
    }

    func verify(_ frame: [UInt8], _ raw: [UInt8], prefix: [UInt8]? = nil) throws -> Bool {
        try frame.withUnsafeBytes { frame in
            try raw.withUnsafeBytes { raw in
                guard let prefix else { return try decoder.verify(frame: frame, equals: raw) }
                return try prefix.withUnsafeBytes { try decoder.verify(frame: frame, equals: raw, prefix: $0) }
            }
        }
    }

    @Test("the loaded library fits the one built against")
    func version() {
        #expect(CompressionLibrary.isCompatible, "\(CompressionLibrary.version) \(CompressionLibrary.builtAgainst)")
    }

    @Test("bytes of every size come back", arguments: [0, 1, 63, 128 << 10, (128 << 10) + 1, 3_000_000])
    func roundTrip(size: Int) throws {
        let raw = Array(SyntheticDump.make(rows: size / 128 + 1, seed: 3).prefix(size))
        let frame = try frame(raw)
        #expect(try decode(frame, size: size) == raw)
        #expect(try verify(frame, raw))
    }

    @Test("a frame of other bytes or another length does not verify")
    func different() throws {
        let raw = SyntheticDump.make(rows: 4000, seed: 3)
        let frame = try frame(raw)
        var other = raw
        other[400_000] ^= 1
        #expect(try !verify(frame, other))
        #expect(try !verify(frame, raw + [0]))
        #expect(try !verify(frame, Array(raw.dropLast())))
    }

    @Test("a frame cut at any byte, or followed by one, is refused by both ways of reading")
    func truncation() throws {
        let raw = SyntheticDump.make(rows: 20, seed: 3)
        let frame = try frame(raw)
        for length in 0..<frame.count {
            let cut = Array(frame.prefix(length))
            #expect(throws: CompressionError.self, "cut at \(length)") { try decode(cut, size: raw.count) }
            #expect(throws: CompressionError.self, "cut at \(length)") { try verify(cut, raw) }
        }
        #expect(throws: CompressionError.trailingBytes) { try decode(frame + [0], size: raw.count) }
        #expect(throws: CompressionError.trailingBytes) { try verify(frame + [0], raw) }
        #expect(throws: CompressionError.trailingBytes) { try decode(frame + frame, size: raw.count) }
    }

    @Test("no flipped bit of a frame goes unnoticed")
    func flippedBits() throws {
        let raw = SyntheticDump.make(rows: 20, seed: 3)
        let frame = try frame(raw)
        for bit in 0..<(frame.count * 8) {
            var flipped = frame
            flipped[bit / 8] ^= 1 << (bit % 8)
            // A flip may leave another frame of the same bytes; never may it give other bytes.
            if let decoded = try? decode(flipped, size: raw.count) { #expect(decoded == raw, "bit \(bit)") }
            if let isSame = try? verify(flipped, raw), isSame { #expect(try decode(flipped, size: raw.count) == raw) }
        }
    }

    @Test("a frame that states another size is refused before memory is taken")
    func hostileSize() throws {
        // A header that states 2^62 bytes, with checksum.
        let hostile: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, 0, 0, 0]
        #expect(throws: CompressionError.wrongSize(expected: 10, stated: 1 << 62)) { try decode(hostile, size: 10) }
        #expect(throws: CompressionError.tooLarge(limit: 1 << 20, stated: 1 << 62)) {
            try Zstandard.decompress(hostile, limit: 1 << 20)
        }
    }

    @Test("whole buffers come back within their limit only")
    func buffers() throws {
        let raw = Array("contents".utf8)
        #expect(try Zstandard.decompress(try Zstandard.compress(raw), limit: raw.count) == raw)
        #expect(throws: CompressionError.tooLarge(limit: 7, stated: 8)) {
            try Zstandard.decompress(try Zstandard.compress(raw), limit: 7)
        }
    }

    @Test("noise is stored nearly as it is")
    func noise() throws {
        let raw = SyntheticDump.noise(4 << 20, seed: 1)
        let frame = try frame(raw)
        #expect(frame.count < raw.count + raw.count / 1000)
        #expect(try verify(frame, raw))
    }

    @Test("stock zstd reads a frame, and one with a prefix by --patch-from")
    func stockTool() async throws {
        let folder = try TemporaryDirectory()
        let base = SyntheticDump.make(rows: 100_000, seed: 1)
        var raw = base
        SyntheticDump.update(&raw, oneRowIn: 100, seed: 2)
        try Data(try frame(raw)).write(to: URL(fileURLWithPath: folder("full.zst")))
        try Data(try frame(raw, prefix: base)).write(to: URL(fileURLWithPath: folder("delta.zst")))
        try Data(base).write(to: URL(fileURLWithPath: folder("base")))
        let full = try await StockProgram.run("zstd", ["-dcq", folder("full.zst")])
        #expect(full.status == 0 && full.output == raw, "\(full.errors)")
        let delta = try await StockProgram.run("zstd", ["-dcq", "--patch-from=\(folder("base"))", folder("delta.zst")])
        #expect(delta.status == 0 && delta.output == raw, "\(delta.errors)")
    }

    @Test("a delta against a full 64 MiB window decodes, also by the stock tool, and needs the very same prefix")
    func widestWindow() async throws {
        let base = SyntheticDump.make(rows: (64 << 20) / 128, seed: 1)
        var raw = Array(base[..<(32 << 20)])
        SyntheticDump.update(&raw, oneRowIn: 100, seed: 2)
        let delta = try frame(raw, prefix: base)
        #expect(delta.count < raw.count / 100)
        #expect(try verify(delta, raw, prefix: base))
        #expect(try decode(delta, prefix: base, size: raw.count) == raw)
        #expect(throws: CompressionError.self) { try decode(delta, size: raw.count) }
        var other = base
        other[5_000_000..<5_001_000] = base[0..<1000]
        #expect(throws: CompressionError.self) { try decode(delta, prefix: other, size: raw.count) }
        let folder = try TemporaryDirectory()
        try Data(delta).write(to: URL(fileURLWithPath: folder("delta.zst")))
        try Data(base).write(to: URL(fileURLWithPath: folder("base")))
        let stock = try await StockProgram.run("zstd", ["-dcq", "--patch-from=\(folder("base"))", folder("delta.zst")])
        #expect(stock.status == 0 && stock.output == raw, "\(stock.errors)")
    }
}
