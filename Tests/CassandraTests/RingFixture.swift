// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Synchronization
import TestSupport
import Transports

@testable import Cassandra

/// A ring with adapters for it.
struct RingFixture {
    let ring: ThrowawayRing
    let notes = MemoryFreezeNotes()
    var kind = "cassandra"

    init(_ change: (inout ThrowawayRing.Options) -> Void = { _ in }) throws {
        var options = ThrowawayRing.Options()
        change(&options)
        ring = try ThrowawayRing(options)
    }

    static let mark = ConfigMark(file: "plan.yaml", line: 1, column: 1)
    static func scalar(_ text: String) -> ConfigNode { .scalar(text, isQuoted: false, mark) }
    static func list(_ items: [String]) -> ConfigNode { .sequence(items.map(scalar), mark) }
    static func mapping(_ pairs: [(String, ConfigNode)]) -> ConfigNode {
        .mapping(pairs.map { (key: $0.0, mark: mark, value: $0.1) }, mark)
    }

    /// Settings that name some of the ring's nodes (all: nil).
    func settings(_ names: [String]? = nil, _ more: [(String, ConfigNode)] = []) -> ConfigNode {
        let nodes = (names ?? ring.nodes).map { name in
            let index = ring.nodes.firstIndex(of: name) ?? 0
            return Self.mapping([
                ("name", Self.scalar(name)), ("host", Self.scalar("127.0.0.1")),
                ("jmx-port", Self.scalar(String(7200 + index))), ("cql-port", Self.scalar(String(9100 + index))),
                ("cassandra-yaml", Self.scalar("\(ring.configuration(name))/cassandra.yaml")),
                ("configuration", Self.list([ring.configuration(name)])),
            ])
        }
        let given = Set(more.map(\.0))
        let usual: [(String, ConfigNode)] = [
            ("nodes", .sequence(nodes, Self.mark)),
            (
                "commands",
                Self.mapping(["nodetool", "cqlsh", "sstableloader"].map { ($0, Self.scalar(ring.tool($0))) })
            ),
        ]
        return Self.mapping(usual.filter { !given.contains($0.0) } + more)
    }

    func adapter(
        _ names: [String]? = nil, _ more: [(String, ConfigNode)] = [], clock: any WallClock = SystemClock(),
        beforeStep: (@Sendable (String) throws -> Void)? = nil
    ) throws -> CassandraAdapter {
        let source = SourceSettings(
            name: "ring", adapter: kind, transport: .local, settings: settings(names, more), mark: Self.mark,
            plan: "nightly")
        let environment = AdapterEnvironment(
            source: source, transport: LocalTransport(), secrets: NoSecrets(), clock: clock, freezeNotes: notes)
        let factory: any SourceAdapterFactory = kind == "cassandra" ? CassandraFactory() : JanusGraphFactory()
        guard var adapter = try factory.make(environment) as? CassandraAdapter else { throw Unexpected() }
        adapter.beforeStep = beforeStep
        return adapter
    }

    struct Copy {
        var report: CaptureReport
        var capture: MemoryCapture
    }

    func capture(base: Copy? = nil, _ adapter: CassandraAdapter? = nil) async throws -> Copy {
        let sink = MemoryCapture(base: base?.capture)
        let report = try await (adapter ?? self.adapter()).capture(into: sink)
        return Copy(report: report, capture: sink)
    }

    /// A ring with 40 users and 12 events, and a copy of it.
    static func copied(
        _ change: (inout ThrowawayRing.Options) -> Void = { _ in }
    ) async throws -> (RingFixture, RingFixture.Copy) {
        let fixture = try RingFixture(change)
        try fixture.ring.insert("app.users", from: 0, count: 20)
        try fixture.ring.flush("app.users")
        try fixture.ring.insert("app.users", from: 20, count: 20)
        try fixture.ring.insert("app.events", from: 0, count: 12)
        let copy = try await fixture.capture(
            nil, fixture.adapter(nil, [("count-rows", RingFixture.list(["app.*"]))]))
        return (fixture, copy)
    }

    /// What a restore of `copy` is given.
    func restore(_ copy: Copy, include: [String] = [], rename: String? = nil, id: String = "k3f9") throws
        -> SourceRestore
    {
        guard let bundle = BundleID("20261121T020003Z-nightly-k3f9qz") else { throw Unexpected() }
        return SourceRestore(
            restoreID: id, bundle: bundle,
            contents: Contents.Source(
                name: "ring", engine: copy.report.engine, facts: copy.report.facts,
                restoreData: copy.report.restoreData, notices: copy.report.notices, position: copy.report.position),
            streams: copy.capture.streams, include: include, rename: rename, scratchDirectory: "/nonexistent")
    }

    /// Stages, verifies and promotes.
    @discardableResult
    func restoreFully(
        _ restore: SourceRestore, _ adapter: CassandraAdapter? = nil, _ journal: MemoryJournal = MemoryJournal()
    ) async throws -> MemoryJournal {
        let adapter = try adapter ?? self.adapter()
        try await adapter.stage(restore, journal: journal)
        let facts = try await adapter.verify(restore, journal: journal)
        guard !facts.isEmpty, facts.allSatisfy(\.isEqual) else {
            throw Failure(.verifyFailed, "\(facts.filter { !$0.isEqual })")
        }
        try await adapter.promote(restore, journal: journal)
        return journal
    }

    /// Folders of restores that are left beside the nodes.
    var leftFolders: [String] {
        ring.nodes.flatMap { node in
            // Nothing there is the good case.
            (try? FileManager.default.contentsOfDirectory(atPath: "\(ring.root)/\(node)/salvor_restore")) ?? []
        }
    }

    /// Keyspaces made beside live ones that are left, in the schema or as folders.
    var leftKeyspaces: [String] {
        get throws {
            try ring.nodes.flatMap { node in
                try FileManager.default.contentsOfDirectory(atPath: ring.data(node)).filter { $0.contains("__salvor_") }
            }
        }
    }
}

struct Unexpected: Error {}

struct NoSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String { throw Unexpected() }
}

/// The failure that `body` throws.
func failure(_ body: () async throws -> some Any) async throws -> Failure {
    do {
        _ = try await body()
    } catch let failure as Failure { return failure }
    throw Unexpected()
}
