// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization
import TestSupport
import Transports

@testable import Qdrant

/// Adapters for servers under test, and what restores onto them need.
struct QdrantFixture {
    let scratch: TemporaryDirectory
    let journal = MemoryJournal()
    let notes = MemoryFreezeNotes()
    var url: String
    var extra: [(String, ConfigNode)] = []
    var key: String?

    init(_ url: String, key: String? = nil) throws {
        self.url = url
        self.key = key
        scratch = try TemporaryDirectory("qdrant")
    }

    static let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
    static func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
    static func list(_ nodes: [ConfigNode]) -> ConfigNode { .sequence(nodes, mark) }
    static func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
        .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
    }

    func adapter() throws -> QdrantAdapter {
        var connection = [("url", Self.scalar(url))]
        if let key { connection.append(("api-key", Self.scalar(key))) }
        let node = Self.mapping([("connection", Self.mapping(connection))] + extra)
        let source = SourceSettings(
            name: "vectors", adapter: "qdrant", transport: .local, settings: node, mark: Self.mark)
        let made = try QdrantFactory().make(
            AdapterEnvironment(
                source: source, transport: LocalTransport(), secrets: GivenSecrets(), clock: SystemClock(),
                freezeNotes: notes))
        guard let adapter = made as? QdrantAdapter else { throw Failure(.internalError, "no adapter") }
        return adapter
    }

    struct GivenSecrets: SecretResolver {
        func resolve(_ reference: SecretReference) async throws -> String {
            guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "none") }
            return text
        }
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
                name: "vectors", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: nil),
            streams: copy.capture.streams, include: include, rename: rename, scratchDirectory: scratch.path)
    }

    /// Stages, verifies and promotes.
    func restoreFully(_ restore: SourceRestore, _ journal: any RestoreJournal) async throws {
        let adapter = try adapter()
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        guard !facts.isEmpty, facts.allSatisfy(\.isEqual) else {
            throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })")
        }
        try await adapter.promote(restore, journal: journal)
    }

    static func collection(_ count: Int, seed: Double = 1) -> QdrantDouble.Collection {
        var points: [Int64: JSONValue] = [:]
        for id in 0..<count { points[Int64(id)] = point(id, seed: seed) }
        return QdrantDouble.Collection(
            config: ["params": ["vectors": ["size": 2, "distance": "Dot"], "shard_number": 1]], points: points)
    }

    static func point(_ id: Int, seed: Double = 1) -> JSONValue {
        [
            "id": .integer(Int64(id)), "vector": [.number(Double(id) + 0.5), .number(seed + 0.25)],
            "payload": ["k": .integer(Int64(id))],
        ]
    }
}
