// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Synchronization

/// Where an export's members go, in order.
public protocol ExportArchive: Sendable {
    /// Adds one file of `length` bytes; `body` must write exactly those.
    func add(
        _ path: String, length: UInt64, _ body: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws
}

/// Makes the file of an export: nothing has its name before all of it is there.
public protocol ExportWriting: Sendable {
    /// Fingerprint of the key that will sign the file.
    var signer: String { get }
    /// Fingerprints of the keys that will open it.
    var recipients: [String] { get }
    /// Runs `body` and finishes the file; a failure leaves none. Gives the file's size in bytes.
    func write(
        modified: Timestamp, _ body: @escaping @Sendable (any ExportArchive) async throws -> Void
    ) async throws -> UInt64
}

/// Writes one bundle, or some of its sources, whole into one file for hand-over: deltas and incrementals resolved, every
/// digest compared on the way.
public struct Export: Sendable {
    let repository: any BundleRepository
    let progress: any ProgressListener

    public init(repository: any BundleRepository, progress: any ProgressListener) {
        self.repository = repository
        self.progress = progress
    }

    /// What to export.
    public struct Request: Sendable {
        public var bundle: BundleID
        /// Names of the sources; empty: all in the bundle.
        public var sources: [String]
        public var host: String
        public var tool: String
        public var at: Timestamp

        public init(bundle: BundleID, sources: [String], host: String, tool: String, at: Timestamp) {
            self.bundle = bundle
            self.sources = sources
            self.host = host
            self.tool = tool
            self.at = at
        }
    }

    /// What was exported.
    public struct Exported: Sendable, Codable, Equatable {
        public var bundle: BundleID
        public var streams: [ExportDescription.Stream]
        public var rawBytes: UInt64
        /// Size of the file.
        public var bytes: UInt64
        /// Fingerprints of the keys that open it, and of the one that signed it.
        public var recipients: [String]
        public var signer: String
    }

    /// One stream with the member it becomes.
    private struct Part: Sendable {
        var stream: any StoredStream
        var described: ExportDescription.Stream
        var members: MemberTable
        /// For incrementals.
        var effective: EffectiveTar?
    }

    /// - Throws: `Failure(.sourceNotFound)`, `Failure(.integrity)` for a damaged bundle, what `writing` throws.
    public func run(_ request: Request, to writing: any ExportWriting) async throws -> Exported {
        let bundle = try await repository.open(request.bundle)
        let chosen = try SourceSelection.choose(
            RestoreRequest(bundle: request.bundle, sources: request.sources), from: bundle.manifest
        ) { _ in true }
        let original = try await repository.signedManifest(request.bundle)
        var parts: [Part] = []
        for source in chosen {
            var taken: Set<String> = []
            for stream in try await bundle.streams(of: source.name) {
                parts.append(try Self.part(stream, source.name, &taken))
            }
        }
        let description = ExportDescription(
            tool: request.tool, exported: Timestamp(seconds: request.at.seconds), host: request.host,
            signer: writing.signer, bundle: request.bundle, repository: bundle.manifest.repository,
            manifest: SHA256Digest.of(original.manifest),
            sources: try chosen.map { try bundle.part(of: $0.name) }, streams: parts.map(\.described))
        let readme = ExportReadme.text(description, bundle.manifest, chosen)
        let (all, encoded) = (parts, try description.encoded())
        progress.report(.phase("export"))
        let bytes = try await writing.write(modified: bundle.manifest.started) { archive in
            let members = ListedMembers(archive, folder: request.bundle.text)
            try await members.add(ExportLayout.readme, Array(readme.utf8))
            try await members.add(ExportLayout.description, encoded)
            try await members.add(ExportLayout.manifest, original.manifest)
            try await members.add(ExportLayout.signature, original.signature)
            for part in all {
                if let list = part.described.list { try await members.add(list.file, part.members.text) }
            }
            for source in chosen {
                let own = all.filter { $0.described.source == source.name }
                progress.report(
                    .sourceStarted(source.name, estimatedBytes: own.reduce(0) { $0 + $1.described.length }))
                for part in own { try await write(part, members) }
                progress.report(.sourceFinished(source.name))
            }
            try await members.finish()
        }
        return Exported(
            bundle: request.bundle, streams: description.streams,
            rawBytes: description.streams.reduce(0) { $0 + $1.length }, bytes: bytes, recipients: writing.recipients,
            signer: writing.signer)
    }

    private static func part(_ stream: any StoredStream, _ source: String, _ taken: inout Set<String>) throws -> Part {
        // A name of its own, whatever the adapter calls the file.
        var file = stream.kind == .tar ? "\(stream.name).tar" : stream.fileName
        if !SafeName.isValid(file) || taken.contains(file) { file = stream.name }
        taken.insert(file)
        let effective = stream.storage == .incremental ? try EffectiveTar(stream) : nil
        let members = effective?.members ?? stream.members
        return Part(
            stream: stream,
            described: ExportDescription.Stream(
                source: source, name: stream.name, kind: stream.kind, file: ExportLayout.stream(source, file),
                fileName: stream.fileName, length: effective?.length ?? stream.receipt.length,
                sha256: effective == nil ? stream.receipt.sha256 : nil,
                list: stream.kind == .tar
                    ? ExportDescription.List(
                        file: ExportLayout.list(source, stream.name), members: members.count,
                        length: UInt64(members.text.count)) : nil), members: members, effective: effective)
    }

    private func write(_ part: Part, _ members: ListedMembers) async throws {
        let (progress, source) = (progress, part.described.source)
        try await members.add(part.described.file, length: part.described.length) { sink in
            let counted = ClosureSink { bytes in
                try sink.write(bytes)
                progress.report(.bytes(source: source, raw: UInt64(bytes.count), stored: 0))
            }
            if let effective = part.effective {
                try await effective.write(to: counted)
            } else {
                try await WholeStream.read(part.stream) { try counted.write($0) }
            }
        }
    }
}

/// Members on their way into an archive, their digests noted for `SHA256SUMS`.
private final class ListedMembers: Sendable {
    private let archive: any ExportArchive
    private let folder: String
    private let sums = Mutex<[UInt8]>([])

    init(_ archive: any ExportArchive, folder: String) {
        self.archive = archive
        self.folder = folder
    }

    func add(_ path: String, _ bytes: [UInt8]) async throws {
        try await add(path, length: UInt64(bytes.count)) { sink in try await Blocking.run { try sink.write(bytes) } }
    }

    func add(
        _ path: String, length: UInt64, _ body: @escaping @Sendable (any ByteSink) async throws -> Void
    ) async throws {
        let hash = StreamHash()
        try await archive.add("\(folder)/\(path)", length: length) { sink in
            try await body(
                ClosureSink { bytes in
                    hash.update(bytes)
                    try sink.write(bytes)
                })
        }
        guard hash.receipt.length == length else {
            throw Failure(.internalError, "'\(path)' got \(hash.receipt.length) bytes instead of \(length)")
        }
        sums.withLock { $0 += ExportLayout.sum(path, hash.receipt.sha256) }
    }

    /// Adds the sums, which is the end.
    func finish() async throws {
        let bytes = sums.withLock { $0 }
        try await archive.add("\(folder)/\(ExportLayout.sums)", length: UInt64(bytes.count)) { sink in
            try await Blocking.run { try sink.write(bytes) }
        }
    }
}

/// A SHA-256 that is fed from several threads, one after the other.
final class StreamHash: Sendable {
    private let running = Mutex(RunningSHA256())

    func update(_ bytes: UnsafeRawBufferPointer) { running.withLock { $0.update(bytes) } }

    var receipt: StreamReceipt {
        running.withLock { StreamReceipt(length: $0.length, sha256: $0.finish()) }
    }
}
