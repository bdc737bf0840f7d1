// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// The dump of one database, and what was counted around it.
struct ArangoCopy: Sendable {
    var database: String
    var directory: String
    /// Documents of each collection that is not the system's, before and after.
    var before: [String: Int64]
    var after: [String: Int64]
    var graphs: Int64
    var views: Int64
}

extension ArangoAdapter {
    /// Dumps all databases into a folder beside the server. Nothing of it is read yet.
    func freeze() async throws -> any FrozenSource {
        let removed = try await removeLeftovers()
        let from = environment.clock.now()
        let directory = "\(settings.workDirectory)/salvor-\(BundleID.randomSuffix())"
        let note = FreezeNote(
            id: "arangodb-\(BundleID.randomSuffix())", what: "dumps in '\(directory)'",
            data: ["directory": .string(directory)], noted: from)
        do {
            return try await withServer { server in
                var notices = removed
                let version = try await server.version()
                let own = try await tools.version(of: settings.dumpProgram)
                guard own == version else {
                    throw Failure(
                        .versionRefused, "\(settings.dumpProgram) is \(own), and \(server.web.name) is \(version)",
                        hint: "Install the client tools of the server's version.")
                }
                let all = try await server.databases()
                let missing = settings.databases.missing(from: all)
                guard missing.isEmpty else {
                    throw Failure(
                        .sourceFailed, "\(server.web.name) has no database '\(missing.joined(separator: "', '"))'",
                        hint: "Correct 'databases' of the source.")
                }
                if try await server.role() != "SINGLE" {
                    notices.append("a dump of a cluster: what was written meanwhile may be in it in part")
                }
                try await environment.freezeNotes.add(note)
                try await tools.makeDirectory(directory)
                var copies: [ArangoCopy] = []
                for (index, database) in all.filter(settings.databases.contains).enumerated() {
                    let folder = "\(directory)/\(index)"
                    let before = try await server.counts(database)
                    try await tools.dump(database, into: folder)
                    copies.append(
                        ArangoCopy(
                            database: database, directory: folder, before: before,
                            after: try await server.counts(database), graphs: try await server.graphs(database),
                            views: try await server.views(database)))
                }
                return FrozenArango(
                    adapter: self, copies: copies, version: version, users: try await server.users(),
                    notices: notices, note: note.id, directory: directory,
                    frozen: (from, environment.clock.now()))
            }
        } catch {
            // Not cancelled with the rest: what was made must go. What stays is noted for the next run.
            await Task { _ = try? await removeLeftovers() }.value
            throw error
        }
    }

    /// Removes the folders that runs before this one left behind.
    func removeLeftovers() async throws -> [String] {
        var notices: [String] = []
        for note in try await environment.freezeNotes.all() {
            if let directory = note.data["directory"]?.string, directory.contains("/salvor-") {
                try await tools.removeDirectory(directory)
                notices.append("removed what an earlier run left behind: \(note.what)")
            }
            try await environment.freezeNotes.erase(note.id)
        }
        return notices
    }
}

/// Dumps beside the server until they are released.
struct FrozenArango: FrozenSource {
    let adapter: ArangoAdapter
    let copies: [ArangoCopy]
    let version: ArangoVersion
    let users: [JSONValue]?
    let notices: [String]
    let note: String
    let directory: String
    let frozen: (from: Timestamp, to: Timestamp)

    var position: String? { nil }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        var (facts, notices, databases) = (Facts(), notices, [JSONValue]())
        for copy in copies {
            let scanner = DumpScanner()
            _ = try await sink.raw(
                ArangoNames.stream(copy.database), fileName: "\(SafeName.escaping(copy.database)).tar",
                estimatedBytes: nil
            ) { output in
                try await adapter.tools.pack(copy.directory) { bytes in
                    scanner.take(bytes)
                    try output.write(bytes)
                }
            }
            notices += try compare(try scanner.finish(), copy, &facts)
            facts[ArangoNames.graphs(copy.database)] = .count(copy.graphs)
            facts[ArangoNames.views(copy.database)] = .count(copy.views)
            databases.append([
                "name": .string(copy.database), "graphs": .integer(copy.graphs), "views": .integer(copy.views),
            ])
        }
        if let users {
            let text = JSONValue.array(users).text
            _ = try await sink.raw(
                ArangoNames.users, fileName: "users.json", estimatedBytes: UInt64(text.count)
            ) { output in
                try await Blocking.run { try output.write(text) }
                return StreamEnd(length: UInt64(text.count))
            }
        } else {
            notices.append("users are not in the bundle: the user may not list them")
        }
        return CaptureReport(
            engine: "ArangoDB \(version)", facts: facts,
            restoreData: ["version": .string(version.description), "databases": .array(databases)], notices: notices)
    }

    /// Holds what the dump has against what the server counted before and after it.
    private func compare(
        _ found: [String: Int64], _ copy: ArangoCopy, _ facts: inout Facts
    ) throws -> [String] {
        var notices: [String] = []
        for name in Set(copy.before.keys).intersection(copy.after.keys).sorted() {
            guard let count = found[name], let before = copy.before[name], let after = copy.after[name] else {
                throw Failure(
                    .sourceFailed, "the dump of database '\(copy.database)' lacks collection '\(name)'",
                    hint: "Look in the server's log, and run arangodump by hand.")
            }
            guard (min(before, after)...max(before, after)).contains(count) else {
                throw Failure(
                    .sourceFailed,
                    "the dump of collection '\(name)' of database '\(copy.database)' has \(count) documents, and the "
                        + "server has \(after)",
                    hint: "Try again when nobody writes; if it stays so, look in the server's log.")
            }
            if before != after {
                notices.append("collection '\(name)' of database '\(copy.database)' changed: \(before) to \(after)")
            }
            facts[ArangoNames.documents(name, copy.database)] = .count(count)
        }
        return notices
    }

    func release() async throws {
        try await adapter.tools.removeDirectory(directory)
        try await adapter.environment.freezeNotes.erase(note)
    }
}
