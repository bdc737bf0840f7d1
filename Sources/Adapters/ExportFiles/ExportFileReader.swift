// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Compression
import Domain
import Encryption
import FileSystem
import Glibc
public import Operations

/// Reads an export: file, OpenPGP, zstd, tar, without any of it lying in memory or on a disk.
public struct ExportFileReader: ImportReading {
    private let path: String
    private let gnupgHome: String?

    /// - Parameter path: the file; `-` is standard input.
    public init(_ path: String, gnupgHome: String? = nil) {
        self.path = path
        self.gnupgHome = gnupgHome
    }

    private var name: String { path == "-" ? "standard input" : path }

    public func read<Result: Sendable>(
        _ body: @escaping @Sendable (any ImportArchive) async throws -> Result
    ) async throws -> (result: Result, signer: String) {
        do {
            let descriptor = try await Blocking.run { try open() }
            defer { if descriptor != STDIN_FILENO { close(descriptor) } }
            let path = path
            return try await StreamOpener(home: gnupgHome).open { sink in
                try Self.feed(descriptor, path, sink)
            } _: { plain in
                let reader = try await Blocking.run { try PlainTarReader(try FrameSource(plain)) }
                return try await body(MemberArchive(reader: reader))
            }
        } catch {
            throw ExportFailures.reading(error, name)
        }
    }

    private func open() throws -> Int32 {
        guard path != "-" else { return STDIN_FILENO }
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open", path: path.utf8) }
        return descriptor
    }

    private static func feed(_ descriptor: Int32, _ path: String, _ sink: any ByteSink) throws {
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 16) { buffer in
            while true {
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw SystemError("read", path: path.utf8) }
                if count == 0 { return }
                try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
    }
}

/// The members of the tar inside.
private struct MemberArchive: ImportArchive {
    let reader: PlainTarReader

    func next() async throws -> (path: String, size: UInt64)? {
        try await Blocking.run { try reader.next() }
    }

    func copy(to sink: any ByteSink) async throws {
        try await Blocking.run { try reader.copy(to: sink) }
    }
}

/// The plain bytes behind the compression.
private final class FrameSource: ByteSource {
    private let decoder: StreamDecoder

    init(_ plain: PlainBytes) throws {
        decoder = try StreamDecoder { try plain.read(into: $0) }
    }

    func nextChunk() throws -> UnsafeRawBufferPointer? { try decoder.next() }
}
