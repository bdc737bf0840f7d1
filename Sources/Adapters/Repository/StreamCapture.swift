// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import LocalState

/// A stream that was captured and stored, before the bundle is committed.
struct CapturedStream: Sendable {
    var table: SegmentTable.Stream
    var contents: Contents.Stream
    /// What to do with the local base once the bundle is committed.
    var afterCommit: @Sendable () throws -> Void
}

/// Captures the streams of one source.
struct SourceSink: CaptureSink {
    let session: BundleWriterSession
    let source: String

    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        let folder = BaseFolder(session.state.bases, source: source, stream: name)
        let known = session.run.forcesFull || !session.keepsLocalBase ? nil : folder.dump()
        let isUsable =
            if let base = known?.base {
                try await session.isUsable(
                    base.bundle, for: source, readers: base.recipients, taken: base.taken,
                    storedBytes: base.storedBytes, lastDeltaBytes: base.lastDeltaBytes)
            } else { false }
        var matching: BaseMatching?
        if isUsable, let known {
            // Unreadable fingerprints are as good as none: the stream becomes a full.
            if let fingerprints = try? BaseFingerprints(decoding: known.fingerprints) {
                matching = BaseMatching(base: known.base, folder: folder, fingerprints: fingerprints)
            }
        }
        let keeper = matching == nil && session.keepsLocalBase ? FrameKeeper(folder, session, source: source) : nil
        let context = SegmentPipeline.Context(
            bundle: session.run.id, source: source, stream: name, sealer: session.keysInUse.readers(of: source).sealer,
            hashesSlices: true, matching: matching,
            keepFrame: keeper?.keep,
            onBaseProblem: { session.note("source '\(source)': \($0.summary); storing in full") })
        let stored = try await store(name, context, fingerprints: keeper == nil ? nil : BaseFingerprints()) { sink in
            try await body(sink).length
        }
        let isDelta = stored.segments.contains { $0.segment.window != nil }
        let storedBytes = stored.segments.reduce(0) { $0 + $1.segment.size }
        let base = isDelta ? matching?.base : nil
        session.add(
            CapturedStream(
                table: SegmentTable.Stream(
                    source: source, name: name, kind: .raw, storage: isDelta ? .delta : .full,
                    rawBytes: stored.receipt.length, base: base?.bundle, segments: stored.segments.map(\.segment)),
                contents: Contents.Stream(
                    source: source, name: name, fileName: fileName, receipt: stored.receipt,
                    segmentDigests: stored.segments.compactMap(\.rawDigest)),
                afterCommit: { [matching] in
                    if let keeper, let fingerprints = stored.fingerprints {
                        try keeper.adopt(stored, fingerprints: fingerprints)
                    } else if var base = matching?.base {
                        base.lastDeltaBytes = storedBytes
                        try folder.update(base)
                    }
                }))
        return stored.receipt
    }

    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        let folder = BaseFolder(session.state.bases, source: source, stream: name)
        var known = session.run.forcesFull ? nil : folder.tree()
        if let note = known?.note {
            let isUsable = try await session.isUsable(
                note.bundle, for: source, readers: note.recipients, taken: note.taken, storedBytes: note.storedBytes,
                lastDeltaBytes: note.lastDeltaBytes)
            if !isUsable { known = nil }
        }
        let base = known.map { TreeBase(bundle: $0.note.bundle, members: $0.members) }
        let context = SegmentPipeline.Context(
            bundle: session.run.id, source: source, stream: name, sealer: session.keysInUse.readers(of: source).sealer,
            hashesSlices: false, matching: nil, keepFrame: nil, onBaseProblem: { _ in })
        let end = TreeEndBox()
        let stored = try await store(name, context, fingerprints: nil) { sink in
            let claimed = try await body(sink, base)
            end.set(claimed)
            return claimed.length
        }
        guard let claimed = end.value else { throw Failure(.internalError, "a tree ended without its members") }
        let storedBytes = stored.segments.reduce(0) { $0 + $1.segment.size }
        session.add(
            CapturedStream(
                table: SegmentTable.Stream(
                    source: source, name: name, kind: .tar, storage: base == nil ? .full : .incremental,
                    rawBytes: stored.receipt.length, base: base?.bundle, segments: stored.segments.map(\.segment)),
                contents: Contents.Stream(
                    source: source, name: name, fileName: "\(name).tar", receipt: stored.receipt,
                    segmentDigests: stored.segments.compactMap(\.rawDigest), members: claimed.members,
                    deletions: claimed.deletions),
                afterCommit: { [known] in
                    if var note = known?.note {
                        note.lastDeltaBytes = storedBytes
                        try folder.update(note)
                    } else {
                        try folder.adopt(
                            TreeBaseNote(
                                bundle: session.run.id, taken: session.run.id.started, rawBytes: stored.receipt.length,
                                storedBytes: storedBytes, recipients: session.keysInUse.readers(of: source).recipients,
                                members: claimed.members.count,
                                sha256: SHA256Digest.of(claimed.members.text)),
                            members: claimed.members)
                    }
                }))
        return stored.receipt
    }

    struct StoredParts: Sendable {
        var segments: [SegmentPipeline.Stored]
        var receipt: StreamReceipt
        var fingerprints: BaseFingerprints?
    }

    /// Runs the producer and the pipeline side by side; the first error ends both.
    private func store(
        _ name: String, _ context: SegmentPipeline.Context, fingerprints: BaseFingerprints?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> UInt64
    ) async throws -> StoredParts {
        guard SafeName.isValid(name) else { throw Failure(.internalError, "'\(name)' is no stream name") }
        let pipeline = session.pipeline
        let progress = session.progress
        let sink = SliceSink(buffers: pipeline.buffers, fingerprints: fingerprints) { [source] count in
            progress.report(.bytes(source: source, raw: UInt64(count), stored: 0))
        }
        let end = EndBox()
        var segments: [SegmentPipeline.Stored] = []
        do {
            segments = try await withThrowingTaskGroup(of: SegmentPipeline.Stored?.self) { group in
                group.addTask {
                    do {
                        let claimed = try await body(sink)
                        let (receipt, fingerprints) = try await Blocking.run { try sink.finish() }
                        guard claimed == receipt.length else {
                            throw Failure(
                                .sourceFailed,
                                "stream '\(name)' ended after \(receipt.length) bytes, its producer wrote \(claimed)")
                        }
                        end.set((receipt, fingerprints))
                        return nil
                    } catch {
                        sink.fail(error)
                        throw error
                    }
                }
                for await slice in sink.slices {
                    if sink.error != nil {
                        pipeline.buffers.giveBack(slice)
                        continue
                    }
                    group.addTask {
                        do {
                            let stored = try await pipeline.store(slice, context)
                            progress.report(.bytes(source: context.source, raw: 0, stored: stored.segment.size))
                            return stored
                        } catch {
                            sink.fail(error)
                            throw error
                        }
                    }
                }
                var all: [SegmentPipeline.Stored] = []
                while let stored = try await group.next() {
                    if let stored { all.append(stored) }
                }
                return all
            }
        } catch {
            // What the sink saw first is the cause; the rest are its echoes.
            throw sink.error ?? error
        }
        guard let value = end.value else { throw Failure(.internalError, "stream '\(name)' ended without a receipt") }
        segments.sort { $0.index < $1.index }
        let covered = segments.reduce(0) { $0 + $1.segment.rawLength }
        guard covered == value.0.length, segments.map(\.index) == Array(segments.indices) else {
            throw Failure(.internalError, "stream '\(name)' lost a segment on its way")
        }
        return StoredParts(segments: segments, receipt: value.0, fingerprints: value.1)
    }
}
