// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization
import WebServices

extension MeilisearchAdapter {
    /// What is known of one index after it was read.
    struct IndexCopy: Sendable {
        var uid: String
        var primaryKey: String?
        var settings: JSONValue
        var count: Int64
        var sample: [JSONValue]

        /// The id of a document, as paths name it.
        static func id(_ document: JSONValue, _ primaryKey: String) -> String? {
            document[primaryKey].flatMap { $0.string ?? $0.integer.map(String.init) }
        }

        static func digest(_ documents: [JSONValue]) -> String {
            let plain = documents.map { document -> JSONValue in
                var members = document.members
                // Shown only when they are asked for, and written in another way each time.
                members["_vectors"] = nil
                return .object(members)
            }
            return SHA256Digest.of(JSONValue.array(plain).canonical.utf8).description
        }
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await withServer { server in
            let version = try await server.version()
            var notices: [String] = []
            if try await !server.waitUntilIdle(seconds: min(30, settings.taskTimeout)) {
                notices.append("the server had tasks to do: what they change may be in the copy or not")
            }
            let newest = try await server.newestTask()
            let all = try await server.indexes()
            let missing = settings.indexes.missing(from: Array(all.keys))
            guard missing.isEmpty else {
                throw Failure(
                    .sourceFailed, "\(server.web.name) has no index '\(missing.joined(separator: "', '"))'",
                    hint: "Correct 'indexes' of the source.")
            }
            var copies: [IndexCopy] = []
            for uid in all.keys.sorted() where settings.indexes.contains(uid) {
                let found = try await server.settings(uid)
                if found.hadKeys {
                    notices.append("keys of embedders of index '\(uid)' are not in the bundle: the server masks them")
                }
                var copy = IndexCopy(
                    uid: uid, primaryKey: all[uid] ?? nil, settings: found.settings, count: 0, sample: [])
                try await read(&copy, version, server, into: sink)
                copies.append(copy)
            }
            notices += try await changes(since: newest, copies, server)
            try await Self.write(Self.document(copies), to: sink, MeilisearchNames.settings, "settings.json")
            if let keys = try await server.keys() {
                try await Self.write(.array(keys), to: sink, MeilisearchNames.keys, "keys.json")
            } else {
                notices.append("API keys are not in the bundle: the key in use may not list them (keys.get)")
            }
            return Self.report(version, copies, notices, newest)
        }
    }

    /// Reads all documents of one index, page after page.
    private func read(
        _ copy: inout IndexCopy, _ version: MeilisearchVersion, _ server: MeilisearchServer,
        into sink: any CaptureSink
    ) async throws {
        let (index, progress) = (copy, SharedProgress())
        _ = try await sink.raw(
            MeilisearchNames.stream(index.uid), fileName: "\(SafeName.escaping(index.uid)).jsonl", estimatedBytes: nil
        ) { output in
            var (offset, length) = (Int64(0), UInt64(0))
            while true {
                let page = try await server.documents(
                    index.uid, offset: offset, limit: settings.pageSize,
                    withVectors: (version.major, version.minor) >= (1, 11)
                        && !(index.settings["embedders"]?.members ?? [:]).isEmpty)
                if offset == 0, index.primaryKey != nil { try progress.take(page.lines.prefix(8)) }
                let bytes =
                    Array(page.lines.joined(separator: CollectionOfOne(UInt8(10)))) + (page.lines.isEmpty ? [] : [10])
                try await Blocking.run { try output.write(bytes) }
                length += UInt64(bytes.count)
                offset += Int64(page.lines.count)
                if page.lines.isEmpty || offset >= page.total {
                    guard offset >= page.total else {
                        throw Failure(
                            .sourceFailed,
                            "\(server.web.name): index '\(index.uid)' gave \(offset) of \(page.total) documents",
                            hint: "Try again when nobody writes to it.")
                    }
                    progress.finish(offset)
                    return StreamEnd(length: length)
                }
            }
        }
        copy.count = progress.count
        copy.sample = progress.sample
    }

    /// Filled while a stream is written, read after it.
    private final class SharedProgress: Sendable {
        private let state = Mutex((count: Int64(0), sample: [JSONValue]()))

        var count: Int64 { state.withLock { $0.count } }
        var sample: [JSONValue] { state.withLock { $0.sample } }

        func finish(_ count: Int64) { state.withLock { $0.count = count } }

        func take(_ lines: ArraySlice<[UInt8]>) throws {
            let documents = try lines.map { try JSONValue.reading($0, "a document") }
            state.withLock { $0.sample = documents }
        }
    }

    /// What happened to the indexes since they began to be read: a copy of pages is no moment.
    private func changes(
        since newest: Int64, _ copies: [IndexCopy], _ server: MeilisearchServer
    ) async throws -> [String] {
        let chosen = Set(copies.map(\.uid))
        let tasks = try await server.tasks(after: newest, types: MeilisearchNames.changes).filter { task in
            // What only waits has changed nothing yet. A swap names its indexes elsewhere: it may concern any.
            task.status != "enqueued" && task.status != "canceled" && (task.index.map(chosen.contains) ?? true)
        }
        guard !tasks.isEmpty else { return [] }
        let names = Set(tasks.map { $0.index ?? "several" }).sorted().joined(separator: ", ")
        let words =
            "\(tasks.count) tasks changed indexes while they were read (\(names)): documents may be missing or old"
        guard settings.onChange == .notice else {
            throw Failure(
                .sourceFailed, "\(server.web.name): \(words)",
                hint: "Back up when nobody writes, give the source 'retries', or set 'on-change: notice'.")
        }
        return [words]
    }

    static func write(_ value: JSONValue, to sink: any CaptureSink, _ name: String, _ fileName: String) async throws {
        let bytes = value.text
        _ = try await sink.raw(name, fileName: fileName, estimatedBytes: UInt64(bytes.count)) { output in
            try await Blocking.run { try output.write(bytes) }
            return StreamEnd(length: UInt64(bytes.count))
        }
    }

    private static func document(_ copies: [IndexCopy]) -> JSONValue {
        .array(
            copies.map {
                [
                    "uid": .string($0.uid), "primaryKey": $0.primaryKey.map { .string($0) } ?? .null,
                    "settings": $0.settings,
                ]
            })
    }

    private static func report(
        _ version: MeilisearchVersion, _ copies: [IndexCopy], _ notices: [String], _ newest: Int64
    ) -> CaptureReport {
        var facts = Facts()
        var indexes: [JSONValue] = []
        for copy in copies {
            facts[MeilisearchNames.documents(copy.uid)] = .count(copy.count)
            facts[MeilisearchNames.primaryKey(copy.uid)] = .text(copy.primaryKey ?? "none")
            facts[MeilisearchNames.settings(copy.uid)] = .text(
                SHA256Digest.of(copy.settings.canonical.utf8).description)
            let ids = copy.sample.compactMap { IndexCopy.id($0, copy.primaryKey ?? "") }
            if !ids.isEmpty, ids.count == copy.sample.count {
                facts[MeilisearchNames.sample(copy.uid)] = .text(IndexCopy.digest(copy.sample))
            }
            indexes.append([
                "uid": .string(copy.uid), "primaryKey": copy.primaryKey.map { .string($0) } ?? .null,
                "settings": copy.settings, "count": .integer(copy.count), "sample": .array(ids.map { .string($0) }),
            ])
        }
        return CaptureReport(
            engine: "Meilisearch \(version)", facts: facts,
            restoreData: ["version": .string(version.description), "indexes": .array(indexes)], notices: notices,
            position: "task \(newest)")
    }
}
