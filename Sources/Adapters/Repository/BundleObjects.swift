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

    /// Decrypts and reads the contents.
    func contents() async throws -> Contents {
        guard let digest = objects[BundleLayout.contents] else {
            throw Failure(.integrity, "the manifest of \(bundle) does not name its contents")
        }
        let cipher = try await checked(BundleLayout.contents, digest)
        let frame = try await open(cipher, BundleLayout.contents)
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
