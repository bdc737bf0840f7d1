// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain

/// Lays the SSTables of chosen tables from one node's stream down beside a node: `FOLDER/sstables/SOURCE/data1/KS/TABLE-ID/`.
/// Only bytes that are needed are read, and every file must have the digest it was captured with.
struct FilePlacing: Sendable {
    let stream: any StoredStream
    /// `keyspace/folder` of the tables.
    let tables: Set<String>
    /// What names below the folder begin with.
    let prefix: String

    private struct Part: Sendable {
        var stream: any StoredStream
        var members: [TreeMember]
        var source = PushedSource()
    }

    /// The files that are needed, from the base and from the stream itself.
    private func parts() throws -> [Part] {
        if stream.storage == .incremental, stream.base == nil {
            throw Failure(.baseMissing, "the base of stream '\(stream.name)' is missing")
        }
        var own: [TreeMember] = []
        var covered = Set(stream.deletions.map { String(decoding: $0, as: UTF8.self) })
        try stream.members.forEach { member in
            covered.insert(String(decoding: member.path, as: UTF8.self))
            if isWanted(member) { own.append(member) }
        }
        var base: [TreeMember] = []
        try stream.base?.members.forEach { member in
            if isWanted(member), !covered.contains(String(decoding: member.path, as: UTF8.self)) { base.append(member) }
        }
        var parts: [Part] = []
        if let full = stream.base, !base.isEmpty { parts.append(Part(stream: full, members: base)) }
        if !own.isEmpty { parts.append(Part(stream: stream, members: own)) }
        return parts
    }

    /// SSTables of the tables themselves; secondary indexes are built by the server, manifests are for people.
    private func isWanted(_ member: TreeMember) -> Bool {
        let parts = member.path.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
        return member.kind == .file && parts.count == 4 && parts[0].hasPrefix("data")
            && tables.contains("\(parts[1])/\(parts[2])") && SSTableName(parts[3]) != nil
    }

    /// Writes a tar of the files to `sink`.
    ///
    /// - Throws: `Failure(.integrity)` for anything that is not as listed.
    func write(to sink: any ByteSink) async throws {
        let parts = try parts()
        try await withTaskCancellationHandler {
            async let fed: Void = Self.feed(parts)
            do {
                try await CancellationFlag.run { flag in
                    defer { for part in parts { part.source.close() } }
                    try copy(parts, to: sink, flag)
                }
            } catch {
                // The feeder either gave the reader this error or stopped because of it.
                try? await fed
                if let error = error as? ArchiveError {
                    throw Failure(.integrity, "stream '\(stream.name)': \(error)")
                }
                throw error
            }
            try await fed
        } onCancel: {
            for part in parts { part.source.fail(CancellationError()) }
        }
    }

    private func copy(_ parts: [Part], to sink: any ByteSink, _ flag: CancellationFlag) throws {
        let writer = try TarWriter(into: sink)
        var seen: Set<String> = []
        for part in parts {
            var expected = part.members.makeIterator()
            let reader = try TarReader(part.source)
            while let header = try reader.next() {
                try flag.check()
                guard let member = expected.next(), member.path == header.path, member.size == header.size,
                    header.kind == .file, let digest = member.sha256
                else {
                    throw Failure(
                        .integrity,
                        "stream '\(stream.name)' holds '\(String(decoding: header.path, as: UTF8.self))', "
                            + "and its list something else")
                }
                let path = String(decoding: header.path, as: UTF8.self)
                guard seen.insert(path).inserted else {
                    throw Failure(.integrity, "stream '\(stream.name)' holds '\(path)' twice")
                }
                try copy(header, digest, from: reader, to: writer)
            }
            if expected.next() != nil {
                throw Failure(.integrity, "stream '\(stream.name)' ends before all files of its list")
            }
        }
        _ = try writer.finish()
    }

    private func copy(
        _ header: TarHeader, _ expected: SHA256Digest, from reader: TarReader, to writer: TarWriter
    ) throws {
        var placed = TarHeader(path: Array("\(prefix)/".utf8) + header.path, kind: .file)
        (placed.size, placed.modified, placed.mode) = (header.size, header.modified, header.mode | 0o600)
        try writer.begin(placed)
        var digest = RunningSHA256()
        try reader.readData { position, bytes in
            guard position == digest.length else { throw ArchiveError.damaged("a file with holes") }
            digest.update(bytes)
            try writer.write(bytes)
        }
        try writer.end()
        guard digest.finish() == expected else {
            throw Failure(
                .integrity,
                "the content of '\(String(decoding: header.path, as: UTF8.self))' is not what was captured")
        }
    }

    private static func feed(_ parts: [Part]) async throws {
        for part in parts {
            do {
                for range in ranges(part.members) {
                    try await part.stream.read(range) { try part.source.write($0) }
                }
                // Members one after the other are an archive as soon as the end marker follows.
                try await Blocking.run { try part.source.write([UInt8](repeating: 0, count: 1024)) }
                part.source.finish()
            } catch {
                for part in parts { part.source.fail(error) }
                throw error
            }
        }
    }

    private static func ranges(_ members: [TreeMember]) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        for member in members {
            let end = member.offset + member.length
            if let last = ranges.last, last.upperBound == member.offset {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(member.offset..<end)
            }
        }
        return ranges
    }
}
