// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Files
import Foundation

extension PrometheusAdapter {
    func freeze() async throws -> any FrozenSource {
        try requireLocal()
        let server = try await server()
        let version = try await server.version()
        let folder = try await dataDirectory(server) + "/snapshots"
        var notices: [String] = []
        for note in try await environment.freezeNotes.all() {
            if let text = try await removeLeftOver(note) { notices.append(text) }
            try await environment.freezeNotes.erase(note.id)
        }
        let id = "snapshot-\(BundleID.randomSuffix())"
        let known = try await Self.names(in: folder)
        // The server makes up the name, so what is noted first is how to recognise it.
        let from = environment.clock.now()
        var data: [String: JSONValue] = [
            "folder": .string(folder), "known": .array(known.map { .string($0) }),
        ]
        try await environment.freezeNotes.add(
            FreezeNote(id: id, what: "a snapshot in '\(folder)'", data: .object(data), noted: from))
        let query = settings.skipsHead ? "?skip_head=true" : ""
        let reply = try await server.call(
            "POST", "/api/v1/admin/tsdb/snapshot\(query)", patienceSeconds: 3600)
        let to = environment.clock.now()
        guard let name = reply["name"]?.string, Self.isSnapshot(name) else {
            throw Failure(.sourceFailed, "\(settings.url) does not name the snapshot that it made")
        }
        data["name"] = .string(name)
        try await environment.freezeNotes.add(
            FreezeNote(id: id, what: "snapshot '\(folder)/\(name)'", data: .object(data), noted: from))
        return PrometheusFrozen(
            adapter: self, version: version, id: id, path: "\(folder)/\(name)", from: from, to: to, notices: notices)
    }

    /// `20261121T024932Z-7fc0cc497f50cbb8`.
    private static func isSnapshot(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && Timestamp(compact: String(parts[0])) != nil && !parts[1].isEmpty
            && parts[1].utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) }
    }

    private static func names(in folder: String) async throws -> [String] {
        try await Blocking.run {
            guard FolderExchange.inode(folder) != nil else { return [] }
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter(isSnapshot).sorted()
        }
    }

    /// Removes what an earlier run had the server make.
    ///
    /// - Returns: what had to be left, for people.
    private func removeLeftOver(_ note: FreezeNote) async throws -> String? {
        guard let folder = note.data["folder"]?.string, folder.hasSuffix("/snapshots") else { return nil }
        var names = [note.data["name"]?.string].compactMap { $0 }
        if names.isEmpty {
            let known = Set((note.data["known"]?.array ?? []).compactMap(\.string))
            // Made by that run, if it was made at all, in the hour after the note.
            names = try await Self.names(in: folder).filter { name in
                guard let made = Timestamp(compact: String(name.prefix(16))) else { return false }
                return !known.contains(name) && (-2...3600).contains(made.seconds - note.noted.seconds)
            }
            guard names.count <= 1 else {
                return "an earlier run was killed, and which snapshot is its own cannot be told: "
                    + names.map { "'\(folder)/\($0)'" }.joined(separator: ", ")
            }
        }
        for name in names where Self.isSnapshot(name) { try await Self.remove("\(folder)/\(name)") }
        return nil
    }

    static func remove(_ path: String) async throws {
        try await Blocking.run { try FolderExchange.remove(path) }
    }
}

/// A snapshot in the server's own folder.
struct PrometheusFrozen: FrozenSource {
    let adapter: PrometheusAdapter
    let version: String
    let id: String
    let path: String
    let from: Timestamp
    let to: Timestamp
    let notices: [String]

    var frozen: (from: Timestamp, to: Timestamp) { (from, to) }
    var position: String? { nil }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let path = path
        let blocks = try await Blocking.run { try Blocks(in: path) }
        guard !blocks.blocks.isEmpty else {
            throw Failure(
                .sourceFailed, "the snapshot '\(path)' is empty",
                hint: "A young server has everything in its head: set 'skip-head: false', or wait for a first scrape.")
        }
        let outcome = try await TreeSnapshot.capture(at: path, into: sink, stream: PrometheusAdapter.stream)
        return CaptureReport(
            engine: version, facts: blocks.facts,
            restoreData: [
                "from": blocks.from.map { .integer($0) } ?? .null, "to": blocks.to.map { .integer($0) } ?? .null,
                "files": outcome.facts["files"].map { .string($0.description) } ?? .null,
            ],
            notices: notices + outcome.notices, position: blocks.to.map { "samples until \($0) ms" })
    }

    func release() async throws {
        try await PrometheusAdapter.remove(path)
        try await adapter.environment.freezeNotes.erase(id)
    }
}
