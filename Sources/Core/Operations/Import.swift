// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Foundation
import Synchronization

/// An export's members, one after the other.
public protocol ImportArchive: Sendable {
    /// The next member's path and size; nil at the proven end. Only files are members.
    ///
    /// - Throws: `Failure(.integrity)` for anything else.
    func next() async throws -> (path: String, size: UInt64)?
    /// Writes all data of the current member to `sink`, on a thread that may block.
    func copy(to sink: any ByteSink) async throws
}

/// Opens the file of an export.
public protocol ImportReading: Sendable {
    /// Gives the members to `body`; nothing of them is proven before this returns.
    ///
    /// - Returns: what `body` gave, and the fingerprint of the key that signed the file.
    /// - Throws: `Failure` of the keys, or `.integrity`, unless the file is whole and signed.
    func read<Result: Sendable>(
        _ body: @escaping @Sendable (any ImportArchive) async throws -> Result
    ) async throws -> (result: Result, signer: String)
}

/// Takes an export back: every stream becomes a full of a new bundle, which is committed only when the file's signature,
/// its end and every digest were right.
public struct Import: Sendable {
    let repository: any BundleRepository
    let progress: any ProgressListener

    public init(repository: any BundleRepository, progress: any ProgressListener) {
        self.repository = repository
        self.progress = progress
    }

    /// How to import.
    public struct Request: Sendable {
        public var plan: Plan
        /// Fingerprints of the keys whose exports are taken; empty: the plan's signer and the repository's.
        public var signers: [String]
        public var tags: [String]
        public var comment: String
        public var host: String
        public var tool: String
        public var at: Timestamp

        public init(
            plan: Plan, signers: [String] = [], tags: [String] = [], comment: String = "", host: String, tool: String,
            at: Timestamp
        ) {
            self.plan = plan
            self.signers = signers
            self.tags = tags
            self.comment = comment
            self.host = host
            self.tool = tool
            self.at = at
        }
    }

    /// What was read, ready to be committed.
    private struct Received: Sendable {
        var writer: any BundleWriter
        var outcomes: [SourceOutcome]
        var group: RecoveryGroup?
        var finished: Timestamp
    }

    /// - Throws: `Failure`; the repository then is as it was.
    public func run(_ request: Request, from reading: any ImportReading) async throws -> Manifest {
        let trusted = try await trustedSigners(request)
        let begun = BegunBundle()
        do {
            let (received, signer) = try await reading.read { archive in
                try await receive(request, archive, begun, trusted)
            }
            guard trusted.contains(signer) else { throw Self.untrusted(signer) }
            guard signer == begun.claimedSigner else {
                throw Failure(
                    .signatureInvalid, "the file names \(begun.claimedSigner) as its signer, but \(signer) signed it",
                    hint: "Do not trust this file; nothing was imported.")
            }
            progress.report(.phase("commit"))
            return try await received.writer.commit(
                received.outcomes, group: received.group, finished: received.finished)
        } catch {
            // Detached from this task's cancellation: an import that was interrupted still drops what it stored.
            let writer = begun.writer
            await Task { await writer?.abandon() }.value
            throw error
        }
    }

    private func trustedSigners(_ request: Request) async throws -> Set<String> {
        let descriptor = try await repository.descriptor()
        let named =
            request.signers.isEmpty
            ? descriptor.signers + [request.plan.encryption.signer].compactMap { $0 } : request.signers
        return Set(named.map { $0.uppercased().filter { $0 != " " } })
    }

    private static func untrusted(_ signer: String) -> Failure {
        Failure(
            .signatureInvalid, "the export is signed by \(signer), which is not trusted here",
            hint: "If you know that key, say so: salvor import FILE --signer \(signer)")
    }

    /// Reads the whole archive, storing its streams in a bundle that is not committed yet.
    private func receive(
        _ request: Request, _ archive: any ImportArchive, _ begun: BegunBundle, _ trusted: Set<String>
    ) async throws -> Received {
        let members = ExpectedMembers(archive)
        try await members.open()
        let export = try ExportDescription(
            decoding: try await members.bytes(ExportLayout.description, atMost: 256 << 20))
        guard members.folder == export.bundle.text else {
            throw ExpectedMembers.damage("its folder is called '\(members.folder)' instead of \(export.bundle)")
        }
        guard trusted.contains(export.signer) else { throw Self.untrusted(export.signer) }
        let manifest = try Self.original(
            try await members.bytes(ExportLayout.manifest, atMost: 64 << 20), of: export)
        _ = try await members.bytes(ExportLayout.signature, atMost: 1 << 20)
        var lists: [String: MemberTable] = [:]
        for stream in export.streams {
            guard let list = stream.list else { continue }
            let text = try await members.bytes(list.file, atMost: 4 << 30, exactly: list.length)
            lists[stream.file] = try Self.checked(MemberTable(text: text, count: list.members), of: stream)
        }
        let writer = try await begin(request, export, begun)
        for source in export.sources {
            let own = export.streams.filter { $0.source == source.name }
            progress.report(.sourceStarted(source.name, estimatedBytes: own.reduce(0) { $0 + $1.length }))
            for stream in own {
                try await store(stream, lists[stream.file], into: writer.sink(for: source.name), members)
            }
            progress.report(.sourceFinished(source.name))
        }
        try await members.finish()
        return Received(
            writer: writer, outcomes: Self.outcomes(export, manifest),
            group: manifest.group?.limited(to: export.sources.map(\.name)), finished: manifest.finished)
    }

    private func begin(
        _ request: Request, _ export: ExportDescription, _ begun: BegunBundle
    ) async throws -> any BundleWriter {
        for source in export.sources where !request.plan.sources.contains(where: { $0.name == source.name }) {
            progress.report(
                .note(
                    "plan '\(request.plan.name)' has no source '\(source.name)': it can be restored with --to-directory"
                ))
        }
        // Named by the time of its data, so that `latest` and every age stay what they were.
        let run = BundleRun(
            id: BundleID(
                plan: request.plan.name, started: export.bundle.started, suffix: BundleID.randomSuffix()),
            host: request.host, tool: request.tool, tags: ["imported"] + request.tags.filter { $0 != "imported" },
            comment: request.comment.isEmpty ? "imported from \(export.bundle)" : request.comment, forcesFull: true,
            origin: Manifest.Origin(
                id: export.bundle, repository: export.repository, sha256: export.manifest, signer: export.signer,
                imported: Timestamp(seconds: request.at.seconds)))
        let writer = try await repository.begin(run, plan: request.plan, progress: progress)
        begun.set(writer, export.signer)
        progress.report(.phase("import"))
        return writer
    }

    /// The bundle's manifest, which must be the one the export describes.
    private static func original(_ bytes: [UInt8], of export: ExportDescription) throws -> Manifest {
        guard SHA256Digest.of(bytes) == export.manifest else {
            throw ExpectedMembers.damage("the manifest in it is not the one it describes")
        }
        let manifest: Manifest
        do { manifest = try JSONDecoder().decode(Manifest.self, from: Data(bytes)) } catch {
            throw ExpectedMembers.damage("the manifest in it cannot be read")
        }
        guard manifest.id == export.bundle, manifest.repository == export.repository else {
            throw ExpectedMembers.damage("the manifest in it is of another bundle")
        }
        for source in export.sources {
            let captured = manifest.sources.first { $0.name == source.name }
            let streams = export.streams.filter { $0.source == source.name }
            guard let captured, captured.state == .ok,
                captured.streams.map(\.name).sorted() == streams.map(\.name).sorted()
            else { throw ExpectedMembers.damage("the manifest in it has other streams of source '\(source.name)'") }
        }
        return manifest
    }

    /// A tree's list, once every line is one and the members adjoin within the tar.
    private static func checked(_ table: MemberTable, of stream: ExportDescription.Stream) throws -> MemberTable {
        var cursor = table.makeCursor()
        var end: UInt64 = 0
        while try cursor.advance() {
            let (next, overflow) = cursor.offset.addingReportingOverflow(cursor.length)
            guard !overflow, cursor.offset >= end, next <= stream.length else {
                throw ExpectedMembers.damage("the list of '\(stream.file)' does not fit its tar")
            }
            end = next
        }
        return table
    }

    private func store(
        _ stream: ExportDescription.Stream, _ list: MemberTable?, into sink: any CaptureSink,
        _ members: ExpectedMembers
    ) async throws {
        let receipt: StreamReceipt
        if let list {
            receipt = try await sink.tree(stream.name, estimatedBytes: stream.length) { output, _ in
                try await members.copy(stream.file, exactly: stream.length, to: output)
                return TreeEnd(
                    length: stream.length, members: list, deletions: [], unchanged: 0, unchangedBytes: 0)
            }
        } else {
            receipt = try await sink.raw(stream.name, fileName: stream.fileName, estimatedBytes: stream.length) {
                output in
                try await members.copy(stream.file, exactly: stream.length, to: output)
                return StreamEnd(length: stream.length)
            }
        }
        guard receipt.length == stream.length, stream.sha256.map({ $0 == receipt.sha256 }) ?? true else {
            throw ExpectedMembers.damage("'\(stream.file)' does not have the digest that was captured")
        }
    }

    /// The sources as the original run left them; those that had failed, too, so that a partial bundle stays one.
    private static func outcomes(_ export: ExportDescription, _ manifest: Manifest) -> [SourceOutcome] {
        manifest.sources.compactMap { captured in
            let contents = export.sources.first { $0.name == captured.name }
            let result: Result<CaptureReport, Failure>
            if let contents {
                result = .success(
                    CaptureReport(
                        engine: contents.engine, facts: contents.facts, restoreData: contents.restoreData,
                        notices: contents.notices, position: contents.position))
            } else if captured.state == .failed {
                result = .failure(
                    Failure(Failure.Code(captured.failure ?? "source.failed", .failed), "failed when it was captured"))
            } else {
                return nil
            }
            let mark = ConfigMark(file: "export", line: 1, column: 1)
            return SourceOutcome(
                source: SourceSettings(
                    name: captured.name, adapter: captured.adapter, transport: .local, settings: .mapping([], mark),
                    mark: mark), started: captured.started, finished: captured.finished, result: result,
                frozen: captured.frozen, position: captured.position)
        }
    }
}

/// The bundle that was begun, if one was, so that whatever goes wrong later can drop it.
private final class BegunBundle: Sendable {
    private let state = Mutex((writer: (any BundleWriter)?.none, signer: ""))

    var writer: (any BundleWriter)? { state.withLock { $0.writer } }
    /// Who the file says has signed it, before that is proven.
    var claimedSigner: String { state.withLock { $0.signer } }

    func set(_ writer: any BundleWriter, _ signer: String) { state.withLock { $0 = (writer, signer) } }
}
