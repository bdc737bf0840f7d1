// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Prometheus
import TestSupport
import Testing
import Transports

private struct Fixture {
    let server: ThrowawayPrometheus
    let notes = MemoryFreezeNotes()

    func adapter(_ extra: [(String, ConfigNode)] = []) throws -> any SourceAdapter {
        let mark = AdapterSettings.mark
        let connection = AdapterSettings.mapping(["url": AdapterSettings.text(server.url)])
        let pairs = [("connection", connection)] + extra
        return try PrometheusFactory().make(
            AdapterSettings.environment(
                "prometheus", .mapping(pairs.map { ($0.0, mark, $0.1) }, mark), transport: LocalTransport(),
                freezeNotes: notes))
    }

    func snapshots() -> [String] {
        // There is no such folder before the first snapshot.
        (try? FileManager.default.contentsOfDirectory(atPath: server.data + "/snapshots")) ?? []
    }
}

private func withPrometheus<Result: Sendable>(
    _ options: [String] = ["--web.enable-admin-api"], _ body: @Sendable (Fixture) async throws -> Result
) async throws -> Result {
    let server = try await ThrowawayPrometheus(options)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(Fixture(server: server))) } catch { result = .failure(error) }
    try await server.stop()
    return try result.get()
}

@Suite("prometheus: a snapshot there and back")
struct PrometheusTests {
    @Test("samples come back and answer queries; the snapshot is gone from the server")
    func roundTrip() async throws {
        try await withPrometheus { fixture in
            let adapter = try fixture.adapter()
            let checks = await adapter.preflight()
            #expect(checks.allSatisfy { $0.state == .ok }, "\(checks)")
            let captured = try await CapturedSource(adapter)
            #expect(captured.report.engine.hasPrefix("Prometheus 2."))
            #expect(fixture.snapshots() == [])
            guard case .count(let samples)? = captured.report.facts["samples"] else {
                Issue.record("no samples")
                return
            }
            #expect(samples > 100)
            let (journal, restore) = (MemoryJournal(), captured.restore())
            let plan = try await adapter.planRestore(restore)
            #expect(plan.blockers == [])
            try await adapter.stage(restore, journal: journal)
            let facts = try await adapter.verify(restore, journal: journal)
            #expect(facts.allSatisfy { $0.isEqual }, "\(facts.filter { !$0.isEqual })")
            let running = await thrownFailure { try await adapter.promote(restore, journal: journal) }
            #expect(running?.summary.contains("still runs") == true, "\(String(describing: running))")
            try await fixture.server.stop()
            try FileManager.default.removeItem(atPath: fixture.server.data + "/wal")
            try await adapter.promote(restore, journal: journal)
            try await fixture.server.start()
            let before = "count_over_time(up[1h])"
            #expect(try await fixture.server.query(before)?.contains("\"value\"") == true)
            let names = try FileManager.default.contentsOfDirectory(atPath: fixture.server.data)
            #expect(names.contains { $0.count == 26 }, "\(names)")
            try await fixture.server.stop()
            try await adapter.rollBack(restore.place, journal: journal)
            let left = try FileManager.default.contentsOfDirectory(atPath: fixture.server.folder)
            #expect(!left.contains { $0.contains("salvor") || $0.contains("before") }, "\(left)")
        }
    }

    @Test("blocks that were stored before are not stored again, whatever the snapshot is called")
    func incremental() async throws {
        try await withPrometheus { fixture in
            let adapter = try #require(try fixture.adapter() as? any FreezingAdapter)
            let frozen = try await adapter.freeze()
            let first = MemoryCapture()
            _ = try await frozen.capture(into: first)
            let second = MemoryCapture(base: first)
            _ = try await frozen.capture(into: second)
            try await frozen.release()
            let sizes = [first, second].map { $0.stream("blocks")?.bytes.count ?? 0 }
            #expect(sizes[1] < sizes[0] / 2, "\(sizes)")
            #expect(fixture.snapshots() == [])
        }
    }

    @Test("what a killed capture left on the server is removed by the next one")
    func leftOver() async throws {
        try await withPrometheus { fixture in
            let adapter = try #require(try fixture.adapter() as? any FreezingAdapter)
            _ = try await adapter.freeze()
            #expect(fixture.snapshots().count == 1)
            // Killed before the name was noted.
            let note = try #require(await fixture.notes.all().first)
            guard case .object(var data) = note.data else { return }
            data["name"] = nil
            await fixture.notes.add(FreezeNote(id: note.id, what: note.what, data: .object(data), noted: note.noted))
            _ = try await CapturedSource(adapter)
            #expect(fixture.snapshots() == [])
            #expect(await fixture.notes.all() == [])
        }
    }

    @Test("without the admin API it is refused, by doctor and by a capture, with what to do")
    func adminAPI() async throws {
        try await withPrometheus([]) { fixture in
            let adapter = try fixture.adapter()
            #expect(
                await adapter.preflight().contains {
                    $0.state == .failed && $0.remedy?.contains("--web.enable-admin-api") == true
                })
            let failed = await thrownFailure { try await CapturedSource(adapter) }
            #expect(failed?.hint?.contains("--web.enable-admin-api") == true, "\(String(describing: failed))")
            #expect(fixture.snapshots() == [])
        }
    }

    @Test("a server that is not there, and a block that is damaged")
    func failures() async throws {
        try await withPrometheus { fixture in
            let captured = try await CapturedSource(try fixture.adapter())
            let adapter = try fixture.adapter()
            let (journal, restore) = (MemoryJournal(), captured.restore())
            try await adapter.stage(restore, journal: journal)
            let staged = fixture.server.folder + "/.data.salvor-k3f9qz"
            let block = try #require(
                try FileManager.default.contentsOfDirectory(atPath: staged).first { $0.count == 26 })
            try FileManager.default.removeItem(atPath: "\(staged)/\(block)/index")
            let failed = await thrownFailure { try await adapter.verify(restore, journal: journal) }
            #expect(failed?.code == .verifyFailed, "\(String(describing: failed))")
            try await adapter.abandon(restore.place, journal: journal)
            try await fixture.server.stop()
            let absent = await thrownFailure { try await CapturedSource(adapter) }
            #expect(absent?.code == .sourceUnreachable)
        }
    }
}
