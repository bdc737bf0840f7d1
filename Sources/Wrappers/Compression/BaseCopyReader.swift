// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import Glibc

/// Reads any part of a base copy, checking every frame it touches; may be used from several threads at once.
public final class BaseCopyReader: Sendable {
    /// Length and SHA-256 of the whole stream, as they were when it was written; compare them with the base bundle's.
    public let receipt: StreamReceipt
    /// Length of the whole stream in bytes.
    public var length: UInt64 { receipt.length }

    private let path: String
    private let descriptor: Int32
    private let entries: [BaseCopyFormat.Entry]

    /// Opens a copy and checks its index.
    ///
    /// - Throws: `CompressionError.baseCopyDamaged` or `.file`.
    public init(path: String) throws {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw BaseCopyFormat.failure(path, "open") }
        do {
            (receipt, entries) = try Self.readIndex(path, descriptor)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The bytes of `range` of the stream.
    ///
    /// - Throws: `CompressionError.baseCopyDamaged` when `range` reaches beyond the stream or anything is not as written.
    public func read(range: Range<UInt64>) throws -> [UInt8] {
        guard range.upperBound <= length, let count = Int(exactly: range.upperBound - range.lowerBound) else {
            throw damage("it is \(length) bytes long, and bytes up to \(range.upperBound) are wanted")
        }
        guard count > 0 else { return [] }
        let decoder = try FrameDecoder()
        let frameLength = UInt64(BaseCopyFormat.frameLength)
        return try [UInt8](unsafeUninitializedCapacity: count) { output, filled in
            var position = range.lowerBound
            while position < range.upperBound {
                let index = position / frameLength
                let raw = try frame(Int(index), decoder)
                let start = Int(position - index * frameLength)
                let part = min(raw.count - start, count - filled)
                raw.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(output)[filled..<(filled + part)]
                        .copyBytes(from: $0[start..<(start + part)])
                }
                filled += part
                position += UInt64(part)
            }
        }
    }

    private func frame(_ index: Int, _ decoder: FrameDecoder) throws -> [UInt8] {
        let entry = entries[index]
        let bytes = try Self.bytes(path, descriptor, at: entry.offset, count: Int(entry.length))
        guard SHA256Digest.of(bytes).bytes == entry.sha256 else { throw damage("frame \(index) has changed") }
        let start = UInt64(index) * UInt64(BaseCopyFormat.frameLength)
        let expected = Int(min(UInt64(BaseCopyFormat.frameLength), length - start))
        do {
            return try bytes.withUnsafeBytes { try decoder.decode(frame: $0, expectedSize: expected) }
        } catch {
            throw damage("frame \(index): \(error)")
        }
    }

    private func damage(_ reason: String) -> CompressionError {
        .baseCopyDamaged(path: path, reason: reason)
    }

    private static func readIndex(
        _ path: String, _ descriptor: Int32
    ) throws -> (StreamReceipt, [BaseCopyFormat.Entry]) {
        func damage(_ reason: String) -> CompressionError { .baseCopyDamaged(path: path, reason: reason) }
        let size = lseek(descriptor, 0, SEEK_END)
        let header = BaseCopyFormat.magic.count
        guard size >= header + BaseCopyFormat.trailerLength else { throw damage("it is too short") }
        guard try bytes(path, descriptor, at: 0, count: header) == BaseCopyFormat.magic else {
            throw damage("it is no base copy")
        }
        let trailerStart = UInt64(size - BaseCopyFormat.trailerLength)
        let trailer = try bytes(path, descriptor, at: trailerStart, count: BaseCopyFormat.trailerLength)
        let (rawLength, count, indexStart) = trailer.withUnsafeBytes {
            ($0.littleEndian(at: 0), $0.littleEndian(at: 8), $0.littleEndian(at: 16))
        }
        let frameLength = UInt64(BaseCopyFormat.frameLength)
        guard count <= trailerStart / UInt64(BaseCopyFormat.entryLength), indexStart <= trailerStart,
            trailerStart - indexStart == count * UInt64(BaseCopyFormat.entryLength), rawLength < 1 << 60,
            (rawLength + frameLength - 1) / frameLength == count
        else { throw damage("its trailer does not fit") }
        let index = try bytes(path, descriptor, at: indexStart, count: Int(trailerStart - indexStart))
        guard SHA256Digest.of(index + trailer.dropLast(32)).bytes.elementsEqual(trailer.suffix(32)),
            let sha256 = SHA256Digest(bytes: Array(trailer[24..<56]))
        else { throw damage("its index has changed") }
        var entries: [BaseCopyFormat.Entry] = []
        var next = UInt64(header)
        for start in stride(from: 0, to: index.count, by: BaseCopyFormat.entryLength) {
            let (offset, length) = index.withUnsafeBytes {
                ($0.littleEndian(at: start), $0.littleEndian(at: start + 8))
            }
            guard offset == next, length <= 2 * frameLength else { throw damage("its index does not fit") }
            next += length
            entries.append(
                BaseCopyFormat.Entry(offset: offset, length: length, sha256: Array(index[(start + 16)..<(start + 48)])))
        }
        guard next == indexStart else { throw damage("its index does not fit") }
        return (StreamReceipt(length: rawLength, sha256: sha256), entries)
    }

    private static func bytes(_ path: String, _ descriptor: Int32, at offset: UInt64, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { output, filled in
            while filled < count {
                let read = pread(
                    descriptor, output.baseAddress?.advanced(by: filled), count - filled, off_t(offset) + off_t(filled))
                if read < 0, errno == EINTR { continue }
                guard read >= 0 else { throw BaseCopyFormat.failure(path, "read") }
                guard read > 0 else { throw CompressionError.baseCopyDamaged(path: path, reason: "it is cut short") }
                filled += read
            }
        }
    }
}
