// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Foundation
import TestSupport
import Testing

@Suite("local copy of a base")
struct BaseCopyTests {
    let folder: TemporaryDirectory
    let raw = Array(SyntheticDump.make(rows: 80_000, seed: 1).dropLast(77))

    init() throws {
        folder = try TemporaryDirectory()
    }

    func write(chunk: Int = 1 << 20) throws -> StreamReceipt {
        let writer = try BaseCopyWriter(path: folder("base"))
        for start in stride(from: 0, to: raw.count, by: chunk) {
            try writer.write(Array(raw[start..<min(start + chunk, raw.count)]))
        }
        return try writer.finish()
    }

    @Test("any part reads as it was written, whatever the pieces", arguments: [100_000, 4 << 20, 9_999_999])
    func reading(chunk: Int) throws {
        let receipt = try write(chunk: chunk)
        #expect(receipt == StreamReceipt(length: UInt64(raw.count), sha256: SHA256Digest.of(raw)))
        let reader = try BaseCopyReader(path: folder("base"))
        #expect(reader.receipt == receipt)
        for range in [
            0..<1, 0..<raw.count, 4_194_303..<4_194_305, 4_194_304..<8_388_608, raw.count - 5..<raw.count, 7..<7,
        ] {
            #expect(
                try reader.read(range: UInt64(range.lowerBound)..<UInt64(range.upperBound)) == Array(raw[range]),
                "\(range)")
        }
        #expect(throws: CompressionError.self) { try reader.read(range: 0..<UInt64(raw.count + 1)) }
    }

    @Test("an empty stream has a copy too")
    func empty() throws {
        _ = try BaseCopyWriter(path: folder("empty")).finish()
        let reader = try BaseCopyReader(path: folder("empty"))
        #expect(reader.length == 0)
        #expect(try reader.read(range: 0..<0) == [])
    }

    @Test("the file is for its owner only and small; an abandoned one is gone")
    func file() throws {
        _ = try write()
        let attributes = try FileManager.default.attributesOfItem(atPath: folder("base"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try #require(attributes[.size] as? Int) < raw.count / 3)
        do {
            let writer = try BaseCopyWriter(path: folder("other"))
            try writer.write([1, 2, 3])
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["base"])
    }

    @Test("a flipped bit anywhere is noticed by the read that touches it")
    func damage() throws {
        _ = try write()
        let good = try Data(contentsOf: URL(fileURLWithPath: folder("base")))
        for position in Array(stride(from: 0, to: good.count, by: 50_021)) + Array((good.count - 300)..<good.count) {
            var bad = good
            bad[position] ^= 0x10
            try bad.write(to: URL(fileURLWithPath: folder("bad")))
            #expect(throws: CompressionError.self, "byte \(position)") {
                let reader = try BaseCopyReader(path: folder("bad"))
                _ = try reader.read(range: 0..<reader.length)
            }
        }
    }

    @Test("a copy that was cut short cannot be opened")
    func truncation() throws {
        _ = try write()
        let good = try Data(contentsOf: URL(fileURLWithPath: folder("base")))
        for length in [0, 10, 19, 100, good.count / 2, good.count - 88, good.count - 1] {
            try good.prefix(length).write(to: URL(fileURLWithPath: folder("bad")))
            #expect(throws: CompressionError.self, "cut at \(length)") { try BaseCopyReader(path: folder("bad")) }
        }
    }
}
