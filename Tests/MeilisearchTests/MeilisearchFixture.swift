// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport
import Transports

@testable import Meilisearch

/// Adapters for servers under test, and what restores onto them need.
struct MeilisearchFixture {
    let scratch: TemporaryDirectory
    let journal = MemoryJournal()
    let notes = MemoryFreezeNotes()
    var url: String
    var key: String?
    var extra: [(String, String)] = []

    init(_ url: String, key: String? = nil) throws {
        self.url = url
        self.key = key
        scratch = try TemporaryDirectory("meili")
    }

    private struct GivenSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "none") }
            return text
        }
    }

    func adapter() throws -> any SourceAdapter {
        let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
        func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
            .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
        }
        func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
        var connection = [("url", scalar(url))]
        if let key { connection.append(("api-key", scalar(key))) }
        let node = mapping([("connection", mapping(connection))] + extra.map { ($0.0, scalar($0.1)) })
        return try MeilisearchFactory().make(
            AdapterEnvironment(
                source: SourceSettings(
                    name: "search", adapter: "meilisearch", transport: .local, settings: node, mark: mark),
                transport: LocalTransport(), secrets: GivenSecrets(), clock: SystemClock(), freezeNotes: notes))
    }

    struct Copy {
        var report: CaptureReport
        var capture: MemoryCapture
    }

    func capture() async throws -> Copy {
        let sink = MemoryCapture()
        return Copy(report: try await adapter().capture(into: sink), capture: sink)
    }

    func restore(_ copy: Copy, include: [String] = [], rename: String? = nil) throws -> SourceRestore {
        guard let bundle = BundleID("20261121T020003Z-nightly-k3f9qz") else { throw Failure(.internalError, "no id") }
        return SourceRestore(
            restoreID: "k3f9", bundle: bundle,
            contents: Contents.Source(
                name: "search", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: copy.report.position),
            streams: copy.capture.streams, include: include, rename: rename, scratchDirectory: scratch.path)
    }

    /// Stages, verifies and promotes; after a kill, only what is not done.
    func restoreFully(_ restore: SourceRestore, _ journal: any RestoreJournal) async throws {
        let adapter = try adapter()
        let phase = await journal.recorded["phase"]?.string
        if phase != "promoting", phase != "promoted" {
            try await adapter.stage(restore, journal: journal)
            let facts = try await adapter.verify(restore, journal: journal)
            guard !facts.isEmpty, facts.allSatisfy(\.isEqual) else {
                throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })")
            }
        }
        try await adapter.promote(restore, journal: journal)
    }

    static func movies(_ count: Int, title: String = "film") -> MeilisearchDouble.Index {
        var index = MeilisearchDouble.Index(
            primaryKey: "id",
            documents: (0..<count).map { number -> JSONValue in
                [
                    "id": .integer(Int64(number)), "title": .string("\(title) \(number) \u{2028}\n\"ü\""),
                    "rating": .number(Double(number) + 0.1), "tags": ["a", .null],
                ]
            })
        index.settings["filterableAttributes"] = ["rating"]
        index.settings["synonyms"] = ["film": ["movie"]]
        return index
    }
}
