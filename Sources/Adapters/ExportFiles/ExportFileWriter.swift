// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Compression
public import Domain
import Encryption
public import Operations

/// Writes an export: tar, zstd, OpenPGP, file; every piece goes all the way before the next one is made.
public struct ExportFileWriter: ExportWriting {
    private let destination: ExportDestination
    private let keys: ExportKeys
    private let threads: Int

    /// - Parameter threads: compressing threads.
    public init(to destination: ExportDestination, keys: ExportKeys, threads: Int) {
        self.destination = destination
        self.keys = keys
        self.threads = threads
    }

    public var signer: String { keys.sealer.signer }

    public var recipients: [String] { keys.sealer.recipients.map(\.key.fingerprint) }

    public func write(
        modified: Timestamp, _ body: @escaping @Sendable (any ExportArchive) async throws -> Void
    ) async throws -> UInt64 {
        do {
            let output = try await Blocking.run { [destination] in try destination.open() }
            do {
                try await keys.sealer.seal(into: output) { [threads] sealed in
                    let (compressor, writer) = try await Blocking.run {
                        let compressor = try StreamCompressor(into: sealed, threads: threads)
                        return (compressor, try PlainTarWriter(into: compressor, modified: modified.seconds))
                    }
                    try await body(TarArchive(writer: writer))
                    try await Blocking.run {
                        try writer.finish()
                        try compressor.finish()
                    }
                }
                try Task.checkCancellation()
                return try await Blocking.run { try output.commit() }
            } catch {
                output.discard()
                throw error
            }
        } catch {
            throw ExportFailures.writing(error, destination.name)
        }
    }
}

/// The tar inside.
private struct TarArchive: ExportArchive {
    let writer: PlainTarWriter

    func add(
        _ path: String, length: UInt64, _ body: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws {
        try await Blocking.run { try writer.begin(path, size: length) }
        try await body(writer)
        try await Blocking.run { try writer.end() }
    }
}
