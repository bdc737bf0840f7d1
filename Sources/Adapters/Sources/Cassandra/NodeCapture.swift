// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import Synchronization

/// Writes one node's snapshot and configuration into a tar: everything, or what a base lacks.
///
/// SSTables are never written again, so a file of the base with the same name, size, modification time and inode is the
/// same file; and since numbers begin again at 1 with a new table (before 4.1), its SSTable's digest must be the same, too.
struct NodeCapture: Sendable {
    /// As in every incremental tar of the format: the paths to remove from an extracted base.
    static let deletionList = ".salvor-deleted"

    let node: CassandraNode
    let snapshot: NodeSnapshot
    /// Configuration files, stored whole every time: they are few.
    let configuration: [NodeFiles.Entry]

    private struct Item: Sendable {
        var member: [UInt8]
        var entry: NodeFiles.Entry
        /// The CRC that its content must have.
        var digest: UInt32?
        var mayChange: Bool
    }

    private struct Selection: Sendable {
        var items: [Item] = []
        var deletions: [[UInt8]] = []
        var unchanged = 0
        var unchangedBytes: UInt64 = 0
    }

    /// Bytes of all files, to be shown as progress.
    var totalBytes: UInt64 { snapshot.files.reduce(0) { $0 + $1.entry.size } }

    func run(into sink: any ByteSink, base: TreeBase?) async throws -> TreeEnd {
        let contents = try await digestContents(base)
        let selection = try await Blocking.run { try select(base, contents) }
        let entries = selection.items.map(\.entry.path)
        if entries.isEmpty {
            return try await Blocking.run { try write(nil, selection, sink, CancellationFlag(), isFull: base == nil) }
        }
        return try await node.files.tar(entries) { reader, flag in
            try write(reader, selection, sink, flag, isFull: base == nil)
        }
    }

    /// SHA-256 of the digest files that a base also names.
    private func digestContents(_ base: TreeBase?) async throws -> [String: SHA256Digest] {
        guard base != nil else { return [:] }
        let files = snapshot.files.filter { $0.name?.component == "Digest.crc32" }
        return try await node.files.contents(files.map(\.entry.path)).mapValues { SHA256Digest.of($0) }
    }

    private func select(_ base: TreeBase?, _ contents: [String: SHA256Digest]) throws -> Selection {
        var selection = Selection()
        var known: [String: TreeMember] = [:]
        try base?.members.forEach { known[String(decoding: $0.path, as: UTF8.self)] = $0 }
        var kept: Set<String> = []
        for (index, file) in snapshot.files.enumerated() where file.name == nil {
            add(index, digest: nil, to: &selection)
            kept.insert(file.member)
        }
        for table in snapshot.sstables {
            let digest = table.files.first { snapshot.files[$0].name?.component == "Digest.crc32" }
            let isSame = digest.map { position in
                let file = snapshot.files[position]
                return contents[file.entry.path] != nil && contents[file.entry.path] == known[file.member]?.sha256
            }
            for position in table.files {
                let file = snapshot.files[position]
                kept.insert(file.member)
                if isSame == true, let old = known[file.member], old.kind == .file, old.size == file.entry.size,
                    old.modified == file.entry.modified, old.inode == file.entry.inode
                {
                    selection.unchanged += 1
                    selection.unchangedBytes += old.size
                } else {
                    add(position, digest: file.name?.component == "Data.db" ? table.digest : nil, to: &selection)
                }
            }
        }
        for entry in configuration {
            let member = "configuration\(entry.path)"
            kept.insert(member)
            selection.items.append(Item(member: Array(member.utf8), entry: entry, digest: nil, mayChange: true))
        }
        selection.items.sort { WalkOrder.compare($0.member, $1.member) < 0 }
        selection.deletions = known.keys.filter { !kept.contains($0) }.map { Array($0.utf8) }
            .sorted { WalkOrder.compare($0, $1) < 0 }
        return selection
    }

    private func add(_ position: Int, digest: UInt32?, to selection: inout Selection) {
        let file = snapshot.files[position]
        selection.items.append(
            Item(member: Array(file.member.utf8), entry: file.entry, digest: digest, mayChange: false))
    }

    private func write(
        _ reader: TarReader?, _ selection: Selection, _ sink: any ByteSink, _ flag: CancellationFlag, isFull: Bool
    ) throws -> TreeEnd {
        do {
            let writer = try TarWriter(into: sink)
            if !isFull { try writeDeletions(selection.deletions, writer) }
            var table = MemberTable()
            for item in selection.items {
                try flag.check()
                try write(item, from: reader, to: writer, &table)
            }
            if let more = try reader?.next() {
                throw Failure(.sourceFailed, "tar gave '\(String(decoding: more.path, as: UTF8.self))' unasked")
            }
            return TreeEnd(
                length: try writer.finish(), members: table, deletions: isFull ? [] : selection.deletions,
                unchanged: selection.unchanged, unchangedBytes: selection.unchangedBytes)
        } catch let error as ArchiveError {
            throw Failure(.sourceFailed, "unable to copy the snapshot: \(error)")
        }
    }

    private func writeDeletions(_ deletions: [[UInt8]], _ writer: TarWriter) throws {
        var header = TarHeader(path: Array(Self.deletionList.utf8), kind: .file)
        let content = deletions.reversed().flatMap { $0 + [0] }
        header.mode = 0o600
        header.size = UInt64(content.count)
        try writer.begin(header)
        try content.withUnsafeBytes { try writer.write($0) }
        try writer.end()
    }

    private func write(
        _ item: Item, from reader: TarReader?, to writer: TarWriter, _ table: inout MemberTable
    ) throws {
        let path = item.entry.path
        guard let given = try reader?.next(), given.kind == .file, given.path.elementsEqual(path.utf8.dropFirst())
        else { throw Failure(.sourceFailed, "'\(path)' vanished before it was read") }
        guard item.mayChange || given.size == item.entry.size else {
            throw Failure(.sourceChanged, "'\(path)' had \(item.entry.size) bytes and has \(given.size)")
        }
        var header = TarHeader(path: item.member, kind: .file)
        (header.mode, header.userID, header.groupID) = (item.entry.mode, item.entry.userID, item.entry.groupID)
        (header.size, header.modified) = (given.size, item.entry.modified)
        let offset = writer.offset
        try writer.begin(header)
        var digest = RunningSHA256()
        var checksum = RunningCRC32()
        try reader?.readData { position, bytes in
            guard position == digest.length else { throw Failure(.sourceFailed, "'\(path)' came with holes") }
            digest.update(bytes)
            if item.digest != nil { checksum.update(bytes) }
            try writer.write(bytes)
        }
        try writer.end()
        if let expected = item.digest, expected != checksum.value {
            throw Failure(
                .sourceFailed, "'\(path)' has the CRC-32 \(checksum.value), and its Digest.crc32 says \(expected)",
                hint: "The data on this node is damaged: 'nodetool scrub' it, or repair it from other replicas.")
        }
        table.append(
            TreeMember(
                path: item.member, kind: .file, mode: header.mode, userID: header.userID, groupID: header.groupID,
                size: header.size, modified: header.modified, changed: 0, inode: item.entry.inode, offset: offset,
                length: writer.offset - offset, sha256: digest.finish()))
    }
}
