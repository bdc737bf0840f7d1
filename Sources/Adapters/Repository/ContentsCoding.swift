// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Compression
import Domain
import Foundation

/// The plain form of `contents.gpg`: a line of JSON, then for every stream its member lines and its deletion lines, whose
/// numbers the JSON announces.
enum ContentsCoding {
    private struct Header: Codable {
        var format: Int
        var sources: [Contents.Source]
        var streams: [StreamHeader]
    }

    private struct StreamHeader: Codable {
        var source: String
        var name: String
        var fileName: String
        var length: UInt64
        var sha256: SHA256Digest
        var segmentDigests: [SHA256Digest]
        var members: Int
        var memberBytes: Int
        var deletions: Int
    }

    static func encode(_ contents: Contents) throws -> [UInt8] {
        let header = Header(
            format: currentFormat, sources: contents.sources,
            streams: contents.streams.map {
                StreamHeader(
                    source: $0.source, name: $0.name, fileName: $0.fileName, length: $0.receipt.length,
                    sha256: $0.receipt.sha256, segmentDigests: $0.segmentDigests, members: $0.members.count,
                    memberBytes: $0.members.text.count, deletions: $0.deletions.count)
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var bytes = Array(try encoder.encode(header))
        bytes.append(UInt8(ascii: "\n"))
        for stream in contents.streams {
            bytes.append(contentsOf: stream.members.text)
            for path in stream.deletions {
                bytes.append(contentsOf: MemberTable.display(path).utf8)
                bytes.append(UInt8(ascii: "\n"))
            }
        }
        return bytes
    }

    /// The plain form as one zstd frame; blocks.
    static func compressed(_ contents: Contents) throws -> [UInt8] {
        // On digests, level 1 is quicker and packs tighter than level 3, which looks for matches that are not there.
        try Zstandard.compress(try encode(contents), level: 1)
    }

    /// Reads what `compressed` made; blocks.
    static func decode(compressed frame: [UInt8]) throws -> Contents {
        do {
            // A member list compresses about 5:1; a thousand times is no honest list.
            return try decode(
                try Zstandard.decompress(
                    frame, limit: max(64 << 20, frame.count.multipliedReportingOverflow(by: 1000).partialValue)))
        } catch let error as CompressionError {
            throw Failure(.integrity, "'\(BundleLayout.contents)' is damaged inside: \(error)")
        }
    }

    /// - Throws: `Failure(.integrity)`, `Failure(.formatTooNew)`.
    static func decode(_ bytes: [UInt8]) throws -> Contents {
        guard let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) else { throw damage }
        let header = try CanonicalJSON.decode(Header.self, from: Array(bytes[..<newline]), name: BundleLayout.contents)
        var position = newline + 1
        var streams: [Contents.Stream] = []
        for stream in header.streams {
            guard stream.memberBytes >= 0, stream.memberBytes <= bytes.count - position else { throw damage }
            let members = MemberTable(
                text: Array(bytes[position..<(position + stream.memberBytes)]), count: stream.members)
            position += stream.memberBytes
            var deletions: [[UInt8]] = []
            for _ in 0..<max(0, stream.deletions) {
                guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw damage }
                deletions.append(try MemberTable.path(escaped: bytes[position..<end]))
                position = end + 1
            }
            streams.append(
                Contents.Stream(
                    source: stream.source, name: stream.name, fileName: stream.fileName,
                    receipt: StreamReceipt(length: stream.length, sha256: stream.sha256),
                    segmentDigests: stream.segmentDigests, members: members, deletions: deletions))
        }
        guard position == bytes.count else { throw damage }
        return Contents(sources: header.sources, streams: streams)
    }

    private static var damage: Failure { Failure(.integrity, "'\(BundleLayout.contents)' is damaged inside") }
}
