// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import LocalState
import Synchronization

/// Keeps a full's frames as the next local base. Anything that goes wrong here costs the next delta, not this backup.
final class FrameKeeper: Sendable {
    private let folder: BaseFolder
    private let session: BundleWriterSession
    private let source: String
    private let isBroken = Mutex(false)

    init(_ folder: BaseFolder, _ session: BundleWriterSession, source: String) {
        self.folder = folder
        self.source = source
        self.session = session
        attempt { try folder.beginNext() }
    }

    @Sendable
    func keep(_ index: Int, _ frame: [UInt8]) {
        guard !isBroken.withLock({ $0 }) else { return }
        attempt { try folder.addFrame(index, frame) }
    }

    /// Makes the kept frames the stream's base.
    func adopt(_ stored: SourceSink.StoredParts, fingerprints: BaseFingerprints) throws {
        guard !isBroken.withLock({ $0 }) else { return try folder.abandonNext() }
        let serialized = fingerprints.encoded()
        try folder.adopt(
            DumpBase(
                bundle: session.run.id, taken: session.run.id.started, rawBytes: stored.receipt.length,
                storedBytes: stored.segments.reduce(0) { $0 + $1.segment.size },
                recipients: session.keysInUse.readers(of: source).recipients,
                segments: try stored.segments.map {
                    guard let digest = $0.rawDigest else {
                        throw Failure(.internalError, "a dump's slice has no digest")
                    }
                    return DumpBase.Slice(
                        rawOffset: $0.segment.rawOffset, rawLength: $0.segment.rawLength, sha256: digest)
                }, fingerprints: SHA256Digest.of(serialized)),
            fingerprints: serialized)
    }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            isBroken.withLock { $0 = true }
            session.note(
                "the local base cannot be kept, the next backup will be a full: \(Failure.wrapping(error).summary)")
        }
    }
}
