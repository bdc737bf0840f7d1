// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Foundation
import TestSupport
import Testing

@Suite("Archives that end too early")
struct TruncationTests {
    /// A tar with everything a cut may be mistaken in: a file of zeros, an empty one, a long name, a hole.
    private func sample() throws -> [UInt8] {
        let sink = KeptBytes()
        let writer = try TarWriter(into: sink)
        var directory = TarHeader(path: Array("d".utf8), kind: .directory)
        directory.mode = 0o755
        try pack(writer, directory)
        try pack(writer, TarHeader(path: Array("d/empty".utf8), kind: .file))
        var zeros = TarHeader(path: Array("d/zeros".utf8), kind: .file)
        zeros.modified = 1_700_000_000_123_456_789
        try pack(writer, zeros, [UInt8](repeating: 0, count: 4096))
        try pack(writer, TarHeader(path: [UInt8](repeating: 0x61, count: 200), kind: .file), Array("text".utf8))
        var sparse = TarHeader(path: Array("d/sparse".utf8), kind: .file)
        sparse.dataRanges = [65536..<65540]
        try pack(writer, sparse, [UInt8](repeating: 0, count: 65536) + Array("data".utf8))
        let length = try writer.finish()
        #expect(length == UInt64(sink.bytes.count))
        return sink.bytes
    }

    @Test("A tar cut at any block, or anywhere else, is an error")
    func everyBlock() throws {
        let bytes = try sample()
        #expect(bytes.count % 512 == 0)
        let folder = try TemporaryDirectory("cut")
        try folder.write("whole/.keep", "")
        _ = try extract(bytes, into: folder("whole"))
        for cut in stride(from: 0, to: bytes.count, by: 512) {
            for end in [cut, cut + 1, cut + 511] where end < bytes.count {
                try FileManager.default.createDirectory(atPath: folder("cut"), withIntermediateDirectories: false)
                #expect(throws: ArchiveError.self, "cut at \(end) of \(bytes.count)") {
                    try extract(Array(bytes[..<end]), into: folder("cut"))
                }
                try FileManager.default.removeItem(atPath: folder("cut"))
            }
        }
    }

    @Test("Something after the end marker is an error")
    func trailing() throws {
        let folder = try TemporaryDirectory("cut")
        try folder.write("in/.keep", "")
        let bytes = try sample() + [UInt8](repeating: 7, count: 512)
        #expect(throws: ArchiveError.self) { try extract(bytes, into: folder("in")) }
    }

    @Test("A flipped bit in a header is an error")
    func damagedHeader() throws {
        let folder = try TemporaryDirectory("cut")
        try folder.write("in/.keep", "")
        var bytes = try sample()
        bytes[100] ^= 1
        #expect(throws: ArchiveError.self) { try extract(bytes, into: folder("in")) }
    }

    @Test("What the source throws arrives, and is not taken for the end")
    func sourceError() throws {
        struct Broken: Error {}
        final class Breaking: ByteSource {
            let inner: GivenBytes
            var rest: Int
            init(_ bytes: [UInt8], after rest: Int) { (inner, self.rest) = (GivenBytes(bytes, piece: 512), rest) }
            func nextChunk() throws -> UnsafeRawBufferPointer? {
                rest -= 1
                if rest < 0 { throw Broken() }
                return try inner.nextChunk()
            }
        }
        let bytes = try sample()
        for after in 0..<(bytes.count / 512) {
            #expect(throws: Broken.self, "after \(after) blocks") {
                let reader = try TarReader(Breaking(bytes, after: after))
                while try reader.next() != nil { try reader.readData { _, _ in } }
            }
        }
    }

    @Test("A writer throws what its sink throws, and refuses too much and too little data")
    func writerErrors() throws {
        struct Full: Error {}
        let full = ClosureSink { _ in throw Full() }
        let writer = try TarWriter(into: full)
        #expect(throws: Full.self) {
            try pack(writer, TarHeader(path: [0x61], kind: .file), [UInt8](repeating: 1, count: 3 << 20))
        }
        let other = try TarWriter(into: KeptBytes())
        var header = TarHeader(path: [0x61], kind: .file)
        header.size = 3
        try other.begin(header)
        #expect(throws: ArchiveError.self) {
            try [UInt8](repeating: 1, count: 4).withUnsafeBytes { try other.write($0) }
        }
        #expect(throws: ArchiveError.self) { try other.end() }
    }

    @Test("Pushed bytes reach the reader, and errors pass both ways", arguments: [1, 512, 100_000])
    func pushed(piece: Int) async throws {
        let bytes = try sample()
        let source = PushedSource()
        async let pushing: Void = Blocking.run {
            var start = 0
            while start < bytes.count {
                let end = min(start + piece, bytes.count)
                try source.write(Array(bytes[start..<end]))
                start = end
            }
            source.finish()
        }
        let count = try await Blocking.run {
            defer { source.close() }
            let reader = try TarReader(source)
            var count = 0
            while try reader.next() != nil { count += 1 }
            return count
        }
        try await pushing
        #expect(count == 5)
        let gone = PushedSource()
        gone.close()
        #expect(throws: PushedSource.ReaderGone.self) { try gone.write([1, 2, 3]) }
    }
}
