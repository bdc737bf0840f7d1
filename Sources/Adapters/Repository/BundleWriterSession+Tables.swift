// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Encryption

/// What a bundle says of itself: tables, contents, manifest.
extension BundleWriterSession {
    func putTables(_ table: SegmentTable, _ contents: Contents) async throws -> [String: ObjectDigest] {
        let tableBytes = table.encoded()
        var written = [(BundleLayout.segments, tableBytes)]
        for (name, part, readers) in parts(of: contents) {
            let plain = try await Blocking.run { try ContentsCoding.compressed(part) }
            written.append((name, try await readers.sealer.seal(plain)))
        }
        var objects: [String: ObjectDigest] = [:]
        for (name, bytes) in written {
            let digest = SHA256Digest.of(bytes)
            objects[name] = ObjectDigest(size: UInt64(bytes.count), sha256: digest)
            try await repository.store.put(BundleLayout.key(run.id, name), bytes, sha256: digest, condition: .none)
        }
        return objects
    }

    /// The contents by who can read them: an object for each source with recipients of its own, and one for the rest.
    func parts(of contents: Contents) -> [(name: String, part: Contents, readers: RunKeys.Readers)] {
        let names = Set(contents.sources.map(\.name))
        let own = keysInUse.own.filter { names.contains($0.key) }.sorted { $0.key < $1.key }
        let rest = contents.restricted(to: names.subtracting(own.map(\.key)))
        return [(BundleLayout.contents, rest, keysInUse.shared)]
            + own.map { (BundleLayout.contents(of: $0.key), contents.restricted(to: [$0.key]), $0.value) }
    }

    func manifest(
        _ outcomes: [SourceOutcome], _ group: RecoveryGroup?, _ table: SegmentTable, _ objects: [String: ObjectDigest],
        finished: Timestamp
    ) async throws -> Manifest {
        let isComplete = outcomes.allSatisfy(\.isCaptured)
        return Manifest(
            id: run.id, plan: plan.name, host: run.host, tool: run.tool, repository: descriptor.id,
            started: run.id.started, finished: Timestamp(seconds: finished.seconds),
            state: isComplete ? .complete : .partial,
            sources: outcomes.map { outcome in
                let streams = table.streams.filter { $0.source == outcome.source.name }.map {
                    Manifest.Stream(
                        name: $0.name, kind: $0.kind, storage: $0.storage, base: $0.base, segments: $0.segments.count,
                        rawBytes: $0.rawBytes, storedBytes: $0.segments.reduce(0) { $0 + $1.size })
                }
                var source = Manifest.Source(
                    name: outcome.source.name, adapter: outcome.source.adapter, engine: "", state: .ok,
                    started: outcome.started, finished: outcome.finished, streams: streams, frozen: outcome.frozen,
                    position: outcome.position, recipients: keysInUse.own[outcome.source.name]?.recipients)
                switch outcome.result {
                case .success(let report): source.engine = report.engine
                case .failure(let failure):
                    source.state = .failed
                    source.failure = failure.code.text
                    source.streams = []
                    (source.frozen, source.position) = (nil, nil)
                }
                return source
            },
            tags: run.tags, comment: run.comment, previous: try await previous(), objects: objects,
            recipients: keysInUse.shared.recipients, signer: keysInUse.signer,
            proof: keysInUse.ephemeral == nil ? .decode : .contents, origin: run.origin, group: group,
            access: isBlind ? .putOnly : nil)
    }
}
