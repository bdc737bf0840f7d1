// SPDX-License-Identifier: Apache-2.0
import Domain

/// Gives files that lie beside a node to a table of it.
struct TableLoading: Sendable {
    let node: CassandraNode
    let dataDirectories: [String]

    /// Where `nodetool import` and `sstableloader` find names of keyspace and table.
    func importFolder(_ folder: String, _ source: String, _ keyspace: String, _ table: String) -> String {
        "\(folder)/import/\(source)/\(keyspace)/\(table)"
    }

    /// Loads the SSTables below `folders` into the table, whose id is looked up now: a table that was dropped and made again
    /// has a new one, and files in the folder of the old one are never looked at.
    ///
    /// - Returns: how many SSTables were given.
    @discardableResult
    func load(
        _ folders: [String], into keyspace: String, _ table: String, by method: CassandraRestoreState.Method,
        staging: String, source: String, hosts: [String]
    ) async throws -> Int {
        let files = try await folders.isEmpty ? [] : node.files.regularFiles(folders, depth: 1)
        let parts = files.compactMap { file -> (file: String, name: SSTableName)? in
            guard let name = SSTableName(file.path.split(separator: "/").last ?? "") else { return nil }
            return (file.path, name)
        }
        guard !parts.isEmpty else { return 0 }
        let names = Set(parts.map { $0.name.with(component: $0.name.component) })
        guard names.count == parts.count else {
            throw Failure(
                .restoreFailed, "node '\(node.name)': two SSTables of \(keyspace).\(table) have the same name",
                hint: "Load the data directories one after the other by hand (docs/sources/cassandra.md).")
        }
        switch method {
        case .import, .loader:
            let place = importFolder(staging, source, keyspace, table)
            try await node.files.remove([place])
            try await node.files.makeDirectories([place])
            let links = parts.map { (from: $0.file, to: "\(place)/\($0.name.with(component: $0.name.component))") }
            try await node.files.link(links)
            try await node.files.own([place] + links.map(\.to), as: dataDirectories[0])
            if method == .import {
                try await node.nodetool(["import", keyspace, table, place])
                try await requireTaken(place, keyspace, table)
            } else {
                try await stream(place, hosts)
            }
            try await node.files.remove([place])
        case .refresh: try await refresh(parts, keyspace, table)
        }
        return parts.count { $0.name.component == "Data.db" }
    }

    /// Import moves what it takes: whatever is left was not taken.
    private func requireTaken(_ place: String, _ keyspace: String, _ table: String) async throws {
        guard try await node.files.isDirectory(place) else { return }
        let left = try await node.files.regularFiles([place]).filter { $0.path.hasSuffix("-Data.db") }
        guard let first = left.first else { return }
        throw Failure(
            .restoreFailed,
            "node '\(node.name)': nodetool import left \(left.count) SSTables of \(keyspace).\(table) behind: \(first.path)",
            hint: "Look at the node's log.")
    }

    private func stream(_ place: String, _ hosts: [String]) async throws {
        let command = node.settings.sstableloader
        let program = Program(
            command[0], Array(command.dropFirst()) + ["-d", hosts.joined(separator: ",")] + [place])
        let (_, exit) = try await node.transport.outputAndExit(of: program)
        guard exit.isSuccess else {
            throw Failure(
                .restoreFailed, "node '\(node.name)': sstableloader failed (\(exit.status)): \(exit.lastWords)",
                hint: "Its hosts must be reached on the native and the storage port; see 'restore.loader-hosts'.")
        }
    }

    /// Before 4.0: files go into the table's folder under numbers that no file there has, since an equal name would be
    /// overwritten, and `nodetool refresh` takes what it finds new.
    private func refresh(_ parts: [(file: String, name: SSTableName)], _ keyspace: String, _ table: String) async throws
    {
        let folder = try await liveFolder(keyspace, table)
        let present = try await node.files.regularFiles([folder], depth: 1)
            .compactMap { SSTableName($0.path.split(separator: "/").last ?? "")?.generation }
        var next = max(present.max() ?? 0, parts.compactMap(\.name.generation).max() ?? 0) + 1000
        var numbers: [String: String] = [:]
        for part in parts where numbers[part.name.with(component: "")] == nil {
            numbers[part.name.with(component: "")] = String(next)
            next += 1
        }
        let links = parts.map { part in
            (
                from: part.file,
                to: "\(folder)/\(part.name.with(id: numbers[part.name.with(component: "")] ?? part.name.id))"
            )
        }
        try await node.files.link(links)
        try await node.files.own(links.map(\.to), as: dataDirectories[0])
        try await node.nodetool(["refresh", "--", keyspace, table])
        // What refresh takes gets a new number, so a file that still has ours was ignored.
        let left = Set(try await node.files.regularFiles([folder], depth: 1).map(\.path))
        guard let ignored = links.first(where: { $0.to.hasSuffix("-Data.db") && left.contains($0.to) }) else { return }
        throw Failure(
            .restoreFailed, "node '\(node.name)': nodetool refresh ignored \(ignored.to)",
            hint: "Look at the node's log.")
    }

    /// The folder of the table's current id.
    ///
    /// - Throws: `Failure(.restoreFailed)` when there is no such table, or its folder is missing.
    func liveFolder(_ keyspace: String, _ table: String) async throws -> String {
        guard let folder = try await liveFolders(keyspace, table).first else {
            throw Failure(
                .restoreFailed, "node '\(node.name)' has no folder for the current id of \(keyspace).\(table)",
                hint: "Look whether the node has the schema ('nodetool describecluster').")
        }
        return folder
    }

    /// The folders of the table's current id, one in each data directory that has it.
    func liveFolders(_ keyspace: String, _ table: String) async throws -> [String] {
        let rows = try await node.rows(
            "SELECT JSON id FROM system_schema.tables WHERE keyspace_name = \(CQLText.literal(keyspace)) "
                + "AND table_name = \(CQLText.literal(table));")
        guard let id = rows.first?["id"]?.string else {
            throw Failure(.restoreFailed, "there is no table \(keyspace).\(table)")
        }
        let name = "\(table)-\(id.lowercased().filter { $0 != "-" })"
        return try await node.files.directories(dataDirectories, depth: 2, path: "*/\(keyspace)/\(name)").sorted()
    }

    /// What the table has now: decimal CRCs of its SSTables, sorted; bytes of data.
    func digests(_ keyspace: String, _ table: String) async throws -> LoadedDigests {
        try await digests(in: liveFolders(keyspace, table))
    }

    /// The same of SSTables in any folders.
    func digests(in folders: [String]) async throws -> LoadedDigests {
        guard !folders.isEmpty else { return LoadedDigests(crcs: [], bytes: 0) }
        let files = try await node.files.regularFiles(folders, depth: 1)
        var digests: [String: String] = [:]
        var bytes: UInt64 = 0
        for file in files where file.path.hasSuffix("-Data.db") {
            bytes += file.size
            digests[String(file.path.dropLast("Data.db".count))] = "0"
        }
        let written = try await node.files.contents(
            files.map(\.path).filter { $0.hasSuffix("-Digest.crc32") })
        for (path, content) in written {
            let key = String(path.dropLast("Digest.crc32".count))
            let text = String(decoding: content, as: UTF8.self).filter { !$0.isWhitespace }
            if digests[key] != nil { digests[key] = text }
        }
        return LoadedDigests(crcs: digests.values.compactMap { UInt32($0) }.sorted(), bytes: bytes)
    }
}

/// What a table on a node has.
struct LoadedDigests: Sendable, Equatable {
    /// Of every SSTable, sorted.
    var crcs: [UInt32]
    var bytes: UInt64

    /// Whether all of `expected` are among these, each as often.
    func contain(_ expected: [UInt32]) -> Bool {
        var counts: [UInt32: Int] = [:]
        for crc in crcs { counts[crc, default: 0] += 1 }
        for crc in expected {
            guard let count = counts[crc], count > 0 else { return false }
            counts[crc] = count - 1
        }
        return true
    }
}
