// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

extension TypesenseAdapter {
    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await withServer { server in
            let version = try await server.version()
            let all = try await server.collections()
            let missing = settings.collections.missing(from: Array(all.keys))
            guard missing.isEmpty else {
                throw Failure(
                    .sourceFailed, "\(server.web.name) has no collection '\(missing.joined(separator: "', '"))'",
                    hint: "Correct 'collections' of the source.")
            }
            let chosen = all.filter { settings.collections.contains($0.key) }.sorted { $0.key < $1.key }
            let aliases = try await server.aliases().filter { all[$0.value] != nil }
            var (facts, notices, entries) = (Facts(), [String](), [JSONValue]())
            for (name, schema) in chosen {
                let found = try await read(name, server, into: sink)
                facts[TypesenseNames.documents(name)] = .count(found.count)
                facts[TypesenseNames.digest(name)] = .text(found.digest)
                facts[TypesenseNames.fields(name)] = TypesenseNames.fields(of: schema)
                notices += found.notices
                var entry: [String: JSONValue] = ["name": .string(name), "schema": schema]
                for kind in TypesenseNames.rules {
                    guard let rules = try await server.rules(kind, of: name) else {
                        notices.append("\(kind) are not in the bundle: this version keeps them in sets of the server")
                        continue
                    }
                    entry[kind] = .array(rules)
                    facts[TypesenseNames.rules(kind, name)] = .count(Int64(rules.count))
                }
                entries.append(.object(entry))
            }
            let document: JSONValue = [
                "version": .string(version.description), "collections": .array(entries),
                "aliases": .object(aliases.mapValues { .string($0) }),
            ]
            try await write(document, to: sink, TypesenseNames.settings, "settings.json")
            if let keys = try await server.keys() {
                try await write(.array(keys), to: sink, TypesenseNames.keys, "keys.json")
                notices += keys.isEmpty ? [] : ["of \(keys.count) API keys only descriptions are in the bundle"]
            }
            return CaptureReport(
                engine: "Typesense \(version)", facts: facts, restoreData: document, notices: notices)
        }
    }

    private func read(
        _ name: String, _ server: TypesenseServer, into sink: any CaptureSink
    ) async throws -> (count: Int64, digest: String, notices: [String]) {
        let before = try await server.count(name)
        let tally = DocumentTally()
        _ = try await sink.raw(
            TypesenseNames.stream(name), fileName: "\(SafeName.escaping(name)).jsonl", estimatedBytes: nil
        ) { output in
            let length = try await server.export(name) { bytes in
                tally.take(bytes)
                try output.write(bytes)
            }
            return StreamEnd(length: length)
        }
        let found = tally.finish()
        let after = try await server.count(name)
        guard before == after else {
            let words = "collection '\(name)' changed while it was read: \(before) documents before, \(after) after"
            return (found.count, found.digest, [words])
        }
        guard found.count == after else {
            throw Failure(
                .sourceFailed,
                "\(server.web.name): collection '\(name)' has \(after) documents and gave \(found.count)",
                hint: "Look in the server's log, then try again.")
        }
        return (found.count, found.digest, [])
    }

    private func write(_ value: JSONValue, to sink: any CaptureSink, _ name: String, _ fileName: String) async throws {
        let bytes = value.text
        _ = try await sink.raw(name, fileName: fileName, estimatedBytes: UInt64(bytes.count)) { output in
            try await Blocking.run { try output.write(bytes) }
            return StreamEnd(length: UInt64(bytes.count))
        }
    }
}
