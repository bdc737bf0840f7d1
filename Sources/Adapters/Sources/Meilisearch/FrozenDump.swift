// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// A dump beside the server until it is released.
struct FrozenDump: FrozenSource {
    let adapter: MeilisearchDumpAdapter
    let path: String
    let version: MeilisearchVersion
    let task: Int64
    let note: String
    let notices: [String]
    let keys: [JSONValue]?
    let frozen: (from: Timestamp, to: Timestamp)

    var position: String? { "task \(task)" }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let scanner = TarScanner { path in
            guard path.hasPrefix("indexes/") else { return path == "metadata.json" ? .bytes : .nothing }
            if path.hasSuffix("/documents.jsonl") { return .lines }
            return path.hasSuffix("/metadata.json") || path.hasSuffix("/settings.json") ? .bytes : .nothing
        }
        let (adapter, path) = (adapter, path)
        _ = try await sink.raw(MeilisearchNames.dump, fileName: "dump.tar", estimatedBytes: nil) { output in
            try await adapter.read(path) { bytes in
                scanner.take(bytes)
                try output.write(bytes)
            }
        }
        if let keys {
            try await MeilisearchAdapter.write(.array(keys), to: sink, MeilisearchNames.keys, "keys.json")
        }
        var notices = notices
        if keys == nil { notices.append("API keys are only in the dump: the key in use may not list them (keys.get)") }
        return try report(try scanner.finish(), notices)
    }

    private func report(_ files: [String: TarScanner.File], _ notices: [String]) throws -> CaptureReport {
        guard let top = files["metadata.json"],
            try JSONValue.reading(top.bytes, "the dump's metadata")["dumpVersion"]?.string != nil
        else { throw Failure(.sourceFailed, "'\(path)' is no dump: it has no metadata", hint: "Look at it by hand.") }
        var (facts, indexes) = (Facts(), [JSONValue]())
        for (file, entry) in files.sorted(by: { $0.key < $1.key }) {
            guard let folder = file.droppingSuffix("/metadata.json"), folder.hasPrefix("indexes/") else { continue }
            let metadata = try JSONValue.reading(entry.bytes, "the dump's '\(file)'")
            guard let uid = metadata["uid"]?.string, let documents = files["\(folder)/documents.jsonl"],
                let settings = files["\(folder)/settings.json"]
            else {
                throw Failure(.sourceFailed, "the dump's '\(folder)' is not whole", hint: "Look in the server's log.")
            }
            guard adapter.base.settings.indexes.contains(uid) else { continue }
            let primaryKey = metadata["primaryKey"]?.string
            facts[MeilisearchNames.documents(uid)] = .count(documents.lines)
            facts[MeilisearchNames.primaryKey(uid)] = .text(primaryKey ?? "none")
            indexes.append([
                "uid": .string(uid), "primaryKey": primaryKey.map { .string($0) } ?? .null,
                "settings": try JSONValue.reading(settings.bytes, "the dump's '\(folder)/settings.json'"),
                "count": .integer(documents.lines), "offset": .integer(Int64(clamping: documents.offset)),
                "length": .integer(Int64(clamping: documents.size)),
            ])
        }
        let missing = adapter.base.settings.indexes.missing(from: indexes.compactMap { $0["uid"]?.string })
        guard missing.isEmpty else {
            throw Failure(
                .sourceFailed, "the dump has no index '\(missing.joined(separator: "', '"))'",
                hint: "Correct 'indexes' of the source.")
        }
        return CaptureReport(
            engine: "Meilisearch \(version)", facts: facts,
            restoreData: ["version": .string(version.description), "indexes": .array(indexes)], notices: notices,
            position: position)
    }

    func release() async throws {
        try await adapter.remove(path)
        try await adapter.base.environment.freezeNotes.erase(note)
    }
}
