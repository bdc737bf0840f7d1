// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// The proof at birth.
extension BundleWriterSession {
    /// Reads everything back from the store with the run's ephemeral key and compares: full proof without the owner's key.
    func prove(_ table: SegmentTable, _ contents: Contents, _ objects: [String: ObjectDigest]) async throws {
        guard let ephemeral = keysInUse.ephemeral else { return }
        progress.report(.phase("prove"))
        let reader = BundleObjects(
            repository: repository, bundle: run.id, table: table, objects: objects, opener: ephemeral)
        for (name, part, _) in parts(of: contents) {
            guard try await reader.contents(name) == part else {
                throw Failure(.integrity, "the contents read back from the store differ from what was written")
            }
        }
        if let digest = objects[BundleLayout.segments] { _ = try await reader.checked(BundleLayout.segments, digest) }
        for stream in table.streams {
            let stored = BundleStream(
                objects: reader, table: stream, contents: try reader.part(of: stream, in: contents))
            try await stored.prove(usingLocal: state)
        }
    }

    /// Leaves a record of the proof at birth. The bundle is committed: whatever goes wrong here is said, and no more.
    func recordProof(
        _ link: Manifest.Previous, _ table: SegmentTable, _ objects: [String: ObjectDigest], finished: Timestamp
    ) async {
        do {
            // The manifest, too, is in the store as it was signed.
            guard try await repository.manifest(link.id).sha256 == link.sha256 else {
                throw Failure(.integrity, "the manifest read back from the store differs from what was written")
            }
            let segments = table.streams.flatMap(\.segments)
            let record = ProofRecord(
                bundle: link.id, manifest: link.sha256, level: .contents, at: run.origin?.imported ?? finished,
                command: run.origin == nil ? "backup" : "import",
                host: run.host, tool: run.tool, problems: 0, objects: segments.count + objects.count + 2,
                bytes: segments.reduce(0) { $0 + $1.size } + objects.values.reduce(0) { $0 + $1.size })
            _ = try await repository.store(record, signer: keysInUse.signer, in: descriptor)
        } catch {
            note("the proof of \(link.id) was not recorded: \(Failure.wrapping(error).summary)")
        }
    }
}
