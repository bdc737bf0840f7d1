// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import LocalState

/// Where the windows of a delta's base come from: the base bundle in the repository or, for the proof at birth, the local
/// copy.
protocol BaseWindows: Sendable {
    func bytes(of range: Range<UInt64>) async throws -> [UInt8]
}

/// A stream of a bundle, read segment by segment: fetched and decoded side by side, handed over in order.
struct BundleStream: StoredStream {
    let objects: BundleObjects
    let table: SegmentTable.Stream
    let contents: Contents.Stream
    /// For deltas.
    var windows: (any BaseWindows)?
    /// For incrementals.
    var base: (any StoredStream)?

    init(
        objects: BundleObjects, table: SegmentTable.Stream, contents: Contents.Stream,
        windows: (any BaseWindows)? = nil, base: (any StoredStream)? = nil
    ) {
        self.objects = objects
        self.table = table
        self.contents = contents
        self.windows = windows
        self.base = base
    }

    var name: String { table.name }
    var kind: StreamKind { table.kind }
    var storage: StreamStorage { table.storage }
    var fileName: String { contents.fileName }
    var receipt: StreamReceipt { contents.receipt }
    var members: MemberTable { contents.members }
    var deletions: [[UInt8]] { contents.deletions }

    func read(
        _ range: Range<UInt64>?, _ consume: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        let wanted = range ?? 0..<table.rawBytes
        guard wanted.upperBound <= table.rawBytes else {
            throw Failure(.integrity, "stream '\(table.source)/\(name)' ends before byte \(wanted.upperBound)")
        }
        let indices = table.segments.indices.filter {
            let segment = table.segments[$0]
            return !(segment.rawOffset..<(segment.rawOffset + segment.rawLength)).clamped(to: wanted).isEmpty
        }
        try await OrderedFetch.run(indices, inFlight: objects.repository.concurrency + 1) { index in
            SliceBytes(try await raw(index))
        } consume: { index, bytes in
            let segment = table.segments[index]
            let part = (segment.rawOffset..<(segment.rawOffset + segment.rawLength)).clamped(to: wanted)
            let slice = Int(part.lowerBound - segment.rawOffset)..<Int(part.upperBound - segment.rawOffset)
            try await Blocking.run {
                try bytes.withBytes { try consume(UnsafeRawBufferPointer(rebasing: $0[slice])) }
            }
            if var done = bytes.take() { LargeArrays.giveBack(&done) }
        }
    }

    /// One segment's raw bytes: the signed digest of its ciphertext, gpg's own check and zstd's checksum hold, and for dumps
    /// its digest in the contents.
    func raw(_ index: Int) async throws -> [UInt8] {
        let segment = table.segments[index]
        var frame = try await objects.frame(segment)
        var window: [UInt8]?
        if let range = segment.window {
            guard let windows else {
                throw Failure(.baseMissing, "segment '\(segment.object)' refers to a base, but there is none")
            }
            window = try await windows.bytes(of: range)
        }
        let expected = contents.segmentDigests.isEmpty ? nil : contents.segmentDigests[index]
        let raw = try await Blocking.run { [frame, window] in
            let raw: [UInt8]
            do {
                raw = try SegmentFrames.decode(frame, prefix: window, size: segment.rawLength)
            } catch let error as CompressionError {
                throw Failure(.integrity, "'\(segment.object)' does not decompress: \(error)")
            }
            if let expected, SHA256Digest.of(raw) != expected {
                throw Failure(.integrity, "'\(segment.object)' does not hold what was captured")
            }
            return raw
        }
        LargeArrays.giveBack(&frame)
        return raw
    }

    /// Reads the whole stream and compares its length and digest.
    func prove() async throws {
        let hash = ProvenHash()
        try await read(nil) { hash.update($0) }
        guard hash.receipt == contents.receipt else {
            throw Failure(.integrity, "stream '\(table.source)/\(name)' does not have the digest that was captured")
        }
    }

    /// As `prove`, with the base taken from the local copy.
    func prove(usingLocal state: PlanState) async throws {
        guard table.storage == .delta else { return try await prove() }
        let folder = BaseFolder(state.bases, source: table.source, stream: name)
        guard let known = folder.dump(), known.base.bundle == table.base else {
            throw Failure(.stateDamaged, "the local base of '\(table.source)/\(name)' went away during the run")
        }
        var proven = self
        proven.windows = LocalWindows(
            matching: BaseMatching(
                base: known.base, folder: folder, fingerprints: try BaseFingerprints(decoding: known.fingerprints)))
        try await proven.prove()
    }
}

private struct LocalWindows: BaseWindows {
    let matching: BaseMatching

    func bytes(of range: Range<UInt64>) async throws -> [UInt8] {
        try await Blocking.run { try matching.bytes(of: range) }
    }
}
