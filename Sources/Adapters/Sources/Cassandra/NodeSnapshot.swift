// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// What one node's snapshot holds, checked against what the server itself wrote down about it.
struct NodeSnapshot: Sendable {
    /// One file of it.
    struct File: Sendable {
        var entry: NodeFiles.Entry
        /// Which of the node's data directories, from 1.
        var directory: Int
        var keyspace: String
        /// The table's folder, `users-<32 digits>`.
        var folder: String
        /// Below the snapshot: `nb-1-big-Data.db`, `.by_mail/nb-1-big-Data.db`, `manifest.json`.
        var relative: String

        /// Its name in the stream.
        var member: String { "data\(directory)/\(keyspace)/\(folder)/\(relative)" }
        /// The hidden folder of a secondary index with a slash, or nothing.
        var index: String { relative.lastIndex(of: "/").map { String(relative[...$0]) } ?? "" }
        /// The file's own name, if it is a component.
        var name: SSTableName? { SSTableName(relative.dropFirst(index.count)) }
    }

    /// The components of one SSTable.
    struct SSTable: Sendable {
        var keyspace: String
        var folder: String
        var index: String
        /// The name of any of its components.
        var name: SSTableName
        /// Positions in `files`.
        var files: [Int]
        var dataBytes: UInt64
        /// CRC-32 of `Data.db` as the server wrote it down; nil when it did not.
        var digest: UInt32?
    }

    private(set) var files: [File] = []
    private(set) var sstables: [SSTable] = []
    private(set) var notices: [String] = []
    private let node: CassandraNode

    /// Lists a snapshot of a node and checks it.
    ///
    /// - Parameters:
    ///   - isWanted: which tables of that tag count (keyspace, folder).
    ///   - required: tables that must be there, empty ones included: every snapshot of a table has a manifest.
    /// - Throws: `Failure(.sourceFailed)` naming node and table.
    static func read(
        _ node: CassandraNode, directories: [String], tag: String,
        isWanted: @Sendable (String, String) -> Bool, required: [CassandraRecord.Table]
    ) async throws -> NodeSnapshot {
        var snapshot = NodeSnapshot(node: node)
        for (index, directory) in directories.enumerated() {
            let folders = try await node.files.directories([directory], depth: 4, path: "*/snapshots/\(tag)").sorted()
            let marker = "/snapshots/\(tag)/"
            for entry in folders.isEmpty ? [] : try await node.files.regularFiles(folders) {
                guard let found = entry.path.range(of: marker) else { continue }
                let parts = entry.path[..<found.lowerBound].split(separator: "/").suffix(2).map(String.init)
                guard parts.count == 2, isWanted(parts[0], parts[1]) else { continue }
                snapshot.files.append(
                    File(
                        entry: entry, directory: index + 1, keyspace: parts[0], folder: parts[1],
                        relative: String(entry.path[found.upperBound...])))
            }
        }
        try await snapshot.check(required)
        return snapshot
    }

    private init(node: CassandraNode) {
        self.node = node
    }

    /// The snapshots of two tags as one.
    mutating func add(_ other: NodeSnapshot) {
        let shift = files.count
        files += other.files
        sstables += other.sstables.map {
            var table = $0
            table.files = table.files.map { $0 + shift }
            return table
        }
        notices += other.notices
    }

    private mutating func check(_ required: [CassandraRecord.Table]) async throws {
        let small = files.filter { ["Digest.crc32", "TOC.txt"].contains($0.name?.component) || $0.isManifest }
        let contents = try await node.files.contents(small.map(\.entry.path))
        try checkManifests(contents, required)
        var groups: [String: [Int]] = [:]
        for (index, file) in files.enumerated() {
            guard let name = file.name else { continue }
            groups[
                "\(file.directory)/\(file.keyspace)/\(file.folder)/\(file.index)\(name.with(component: ""))",
                default: []
            ]
            .append(index)
        }
        for group in groups.sorted(by: { $0.key < $1.key }) {
            if let table = try sstable(group.value, contents) { sstables.append(table) }
        }
    }

    /// One SSTable is whole when every component that its TOC lists is there, and its digest can be read.
    private mutating func sstable(_ members: [Int], _ contents: [String: [UInt8]]) throws -> SSTable? {
        let first = files[members[0]]
        guard let name = first.name else { return nil }
        let what = "SSTable '\(first.index)\(name.with(component: "*"))' of \(first.keyspace).\(first.folder)"
        var components: [String: File] = [:]
        for index in members { components[files[index].name?.component ?? ""] = files[index] }
        guard let list = components["TOC.txt"], let toc = contents[list.entry.path] else {
            throw damaged("\(what) has no TOC.txt, so nobody knows its components")
        }
        let listed = String(decoding: toc, as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        guard !listed.isEmpty else { throw damaged("\(what) has an empty TOC.txt") }
        if let missing = listed.first(where: { components[$0] == nil }) {
            throw damaged("\(what) lacks its component \(missing), which its TOC.txt lists")
        }
        guard let data = components["Data.db"] else { throw damaged("\(what) has no Data.db") }
        var digest: UInt32?
        if let file = components["Digest.crc32"] {
            let text = String(decoding: contents[file.entry.path] ?? [], as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            guard let value = UInt32(text) else { throw damaged("\(what) has a Digest.crc32 that is no number") }
            digest = value
        } else {
            notices.append("node '\(node.name)': \(what) has no digest of its own: its data could not be checked")
        }
        return SSTable(
            keyspace: first.keyspace, folder: first.folder, index: first.index, name: name, files: members,
            dataBytes: data.entry.size, digest: digest)
    }

    private struct Manifest: Decodable {
        // created_at and others are texts or numbers, depending on the release; nothing here depends on them.
        var files: [String]
    }

    /// Every table has a manifest, and every file that it lists is there: the server names the data of all its directories
    /// in one manifest.
    private func checkManifests(_ contents: [String: [UInt8]], _ required: [CassandraRecord.Table]) throws {
        var present: [String: Set<String>] = [:]
        for file in files { present["\(file.keyspace)/\(file.folder)", default: []].insert(file.relative) }
        var seen: Set<String> = []
        for file in files where file.isManifest {
            let table = "\(file.keyspace)/\(file.folder)"
            seen.insert(table)
            let manifest: Manifest
            do {
                manifest = try JSONDecoder().decode(Manifest.self, from: Data(contents[file.entry.path] ?? []))
            } catch {
                throw damaged("the manifest.json of \(table) cannot be read")
            }
            if let missing = manifest.files.first(where: { present[table]?.contains($0) != true }) {
                throw damaged("the snapshot of \(table) lacks \(missing), which its manifest.json lists")
            }
        }
        for table in required where !seen.contains("\(table.keyspace)/\(table.folder)") {
            throw damaged("there is no snapshot of table \(table.qualified) (folder \(table.folder))")
        }
    }

    private func damaged(_ text: String) -> Failure {
        Failure(
            .sourceFailed, "node '\(node.name)': \(text)",
            hint: "Look at the node's log and disks; 'nodetool scrub' or a repair from the other replicas may be due.")
    }

    /// The first SSTable layout that no release of Apache Cassandra writes.
    var foreignLayout: String? {
        sstables.map(\.name.layout).first { $0.hasPrefix("bti-") && $0 != "bti-da" }
    }

    /// Decimal CRCs of a table's own data, sorted, joined by commas; what the restored table must have again.
    func digests(keyspace: String, folder: String) -> (list: String, count: Int, bytes: UInt64) {
        let own = sstables.filter { $0.keyspace == keyspace && $0.folder == folder && $0.index.isEmpty }
        return (
            own.map { $0.digest ?? 0 }.sorted().map(String.init).joined(separator: ","), own.count,
            own.reduce(0) { $0 + $1.dataBytes }
        )
    }
}

extension NodeSnapshot.File {
    var isManifest: Bool { relative == "manifest.json" }
}
