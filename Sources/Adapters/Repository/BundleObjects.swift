// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import Encryption

/// Fetches a bundle's objects, each checked against the signed manifest before a byte of it is used.
struct BundleObjects: Sendable {
    let repository: FormatRepository
    let bundle: BundleID
    let table: SegmentTable
    let objects: [String: ObjectDigest]
    let opener: Opener

    /// Decrypts and reads what the keys here open of the contents.
    ///
    /// - Throws: `Failure(.noDecryptionKey)` when that is nothing.
    func contents(of manifest: Manifest) async throws -> (contents: Contents, sealed: [String: Failure]) {
        let sources = manifest.sources.filter { $0.state == .ok }
        let shared = sources.filter { $0.recipients == nil }.map(\.name)
        var parts = sources.filter { $0.recipients != nil }.map { (BundleLayout.contents(of: $0.name), [$0.name]) }
        if !shared.isEmpty { parts.insert((BundleLayout.contents, shared), at: 0) }
        var (contents, sealed) = (Contents(sources: [], streams: []), [String: Failure]())
        for (name, names) in parts {
            do {
                let part = try await self.contents(name).restricted(to: Set(names))
                contents.sources += part.sources
                contents.streams += part.streams
            } catch let failure as Failure where failure.code == .noDecryptionKey {
                for source in names { sealed[source] = failure }
            }
        }
        if sealed.count == sources.count, let failure = sources.first.flatMap({ sealed[$0.name] }) { throw failure }
        let order = sources.map(\.name)
        contents.sources = order.compactMap { contents.source($0) }
        return (contents, sealed)
    }

    /// Decrypts and reads one object of contents.
    func contents(_ name: String) async throws -> Contents {
        guard let digest = objects[name] else {
            throw Failure(.integrity, "the manifest of \(bundle) does not name '\(name)'")
        }
        let cipher = try await checked(name, digest)
        let frame = try await open(cipher, name)
        return try await Blocking.run { try ContentsCoding.decode(compressed: frame) }
    }

    /// The contents' part for a stream of the table.
    func part(of stream: SegmentTable.Stream, in contents: Contents) throws -> Contents.Stream {
        guard let part = contents.stream(source: stream.source, name: stream.name),
            part.segmentDigests.count == (stream.kind == .raw ? stream.segments.count : 0),
            part.receipt.length == stream.rawBytes
        else {
            throw Failure(
                .integrity,
                "contents and segments.tsv of \(bundle) disagree on stream '\(stream.source)/\(stream.name)'")
        }
        return part
    }

    /// An object's bytes, once size and SHA-256 are right.
    func checked(_ object: String, _ expected: ObjectDigest) async throws -> [UInt8] {
        try await repository.checked(BundleLayout.key(bundle, object), expected)
    }

    /// A segment's zstd frame, fetched, checked and decrypted.
    func frame(_ segment: Segment) async throws -> [UInt8] {
        var cipher = try await checked(segment.object, ObjectDigest(size: segment.size, sha256: segment.sha256))
        let frame = try await open(cipher, segment.object)
        LargeArrays.giveBack(&cipher)
        return frame
    }

    private func open(_ cipher: [UInt8], _ object: String) async throws -> [UInt8] {
        do {
            // zstd and OpenPGP never shrink what they cannot compress by more than their headers, so plain is no longer.
            return try await opener.open(cipher, limit: cipher.count + 4096)
        } catch let error as EncryptionError {
            throw KeyFailures.opening(error, BundleLayout.key(bundle, object))
        }
    }
}
