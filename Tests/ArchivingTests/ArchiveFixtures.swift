// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import FileSystem
import Foundation
import Synchronization
import TestSupport

/// A sink that keeps everything.
final class KeptBytes: ByteSink {
    private let kept = Mutex<[UInt8]>([])

    var bytes: [UInt8] { kept.withLock { $0 } }

    func write(_ bytes: UnsafeRawBufferPointer) throws { kept.withLock { $0.append(contentsOf: bytes) } }
}

/// A source that gives its bytes in small pieces.
final class GivenBytes: ByteSource {
    private let bytes: UnsafeMutableRawBufferPointer
    private let piece: Int
    private var position = 0

    init(_ bytes: [UInt8], piece: Int = 700) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyBytes(from: bytes)
        self.piece = piece
    }

    deinit { bytes.deallocate() }

    func nextChunk() throws -> UnsafeRawBufferPointer? {
        guard position < bytes.count else { return nil }
        let end = min(position + piece, bytes.count)
        defer { position = end }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<end])
    }
}

/// Extracts bytes below a folder.
@discardableResult
func extract(
    _ bytes: [UInt8], into folder: String, rules: ExtractionRules = ExtractionRules(), piece: Int = 700
) throws -> ExtractionReport {
    let root = try Descriptor.directory(Array(folder.utf8))
    let extractor = TreeExtractor(into: [ExtractionDestination(directory: root)], rules: rules)
    try extractor.extract(try TarReader(GivenBytes(bytes, piece: piece)))
    try extractor.finish()
    return extractor.report
}

/// Packs one file, with its data.
func pack(_ writer: TarWriter, _ header: TarHeader, _ data: [UInt8] = []) throws {
    var header = header
    if header.kind == .file { header.size = UInt64(data.count) }
    try writer.begin(header)
    try data.withUnsafeBytes { try writer.write($0) }
    try writer.end()
}

/// A tar made by a Python script that adds members to `t`, for archives that no honest program writes.
func pythonTar(_ folder: TemporaryDirectory, _ script: String) throws -> [UInt8] {
    let path = folder("made-\(UUID().uuidString).tar")
    try ShortCommand.run(
        "python3",
        [
            "-c",
            """
            import io, sys, tarfile
            t = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
            def add(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644):
                i = tarfile.TarInfo(name); i.type = kind; i.size = len(data); i.linkname = link; i.mode = mode
                t.addfile(i, io.BytesIO(data))
            \(script)
            t.close()
            """, path,
        ])
    return try Array(Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Writes bytes to a file, for other programs to read.
func save(_ bytes: [UInt8], _ path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// The content of a file; nil when it is not there.
func content(_ path: String) -> String? {
    FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
}
