// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import GRDB
import TestSupport
import Testing
import Transports

@testable import SQLite

@Suite("SQLite over transports", .serialized)
struct FarSQLiteTests {
    @Test("over ssh: a database comes back row for row, and is put back", arguments: ["wal", "delete"])
    func roundTrip(_ mode: String) async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: mode)
        let adapter = try fixture.adapter(transport: server.transport())
        #expect(await adapter.preflight().filter { $0.state == .failed } == [])
        // A program that goes on writing, with a row that is only in its log.
        let holder = try DatabaseQueue(path: fixture.path)
        try await holder.writeWithoutTransaction { try $0.execute(sql: "INSERT INTO notes VALUES(9999, 'last', NULL)") }
        let sink = MemoryCapture()
        let report = try await adapter.capture(into: sink)
        try await holder.writeWithoutTransaction {
            try $0.execute(sql: "INSERT INTO notes VALUES(10000, 'later', NULL)")
        }
        try holder.close()
        let copy = SQLiteFixture.Copy(
            report: report, bytes: sink.bytes("database") ?? [], fileName: "app.db")
        #expect(report.facts != (try await fixture.capture()).report.facts)
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.temporary.path) == [])

        try SQLiteFixture.execute(fixture.path, "DELETE FROM notes WHERE id = 10000")
        let before = try SQLiteFixture.dump(fixture.path)
        try SQLiteFixture.execute(fixture.path, "DELETE FROM pairs; DROP TABLE old")
        let damaged = try SQLiteFixture.dump(fixture.path)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: fixture.path)

        let restore = try fixture.restore(copy)
        #expect(try await adapter.planRestore(restore).blockers == [])
        try await adapter.stage(restore, journal: fixture.journal)
        #expect(try await adapter.verify(restore, journal: fixture.journal).filter { !$0.isEqual } == [])
        for _ in 0..<2 { try await adapter.promote(restore, journal: fixture.journal) }
        #expect(try SQLiteFixture.dump(fixture.path) == before)
        #expect(try FileManager.default.attributesOfItem(atPath: fixture.path)[.posixPermissions] as? Int == 0o640)
        try await adapter.rollBack(restore.place, journal: fixture.journal)
        #expect(try SQLiteFixture.dump(fixture.path) == damaged)
        #expect(try fixture.names().filter { $0.contains("salvor") || $0.contains("before") } == [])
    }

    @Test("a locked database and a missing one are told; nothing is left behind")
    func failures() async throws {
        let server = try await ThrowawaySSH.start()
        let fixture = try SQLiteFixture()
        let adapter = try fixture.adapter(transport: server.transport())
        let missing = await adapter.preflight().first { $0.state == .failed }
        #expect(missing?.detail.contains("there is no file '\(fixture.path)'") == true)
        try fixture.fill(journalMode: "delete")
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let holder = try DatabaseQueue(path: fixture.path, configuration: configuration)
        try await holder.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        let failure = try await #require(throws: Failure.self) { try await adapter.capture(into: MemoryCapture()) }
        #expect(failure.summary.contains("locked"), "\(failure)")
        try await holder.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.temporary.path) == [])
    }

    @Test("a stream that is lost half way is no capture")
    func lost() async throws {
        let cluster = try KubectlStandIn()
        try cluster.pod("web-0")
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let adapter = try fixture.adapter(
            transport: cluster.transport(KubernetesSettings(namespace: "prod", pod: .name("web-0"))))
        try cluster.misbehave("lose:40000")
        await #expect(throws: Failure.self) { try await adapter.capture(into: MemoryCapture()) }
        try cluster.behave()
        let sink = MemoryCapture()
        _ = try await adapter.capture(into: sink)
        #expect(sink.bytes("database")?.isEmpty == false)
    }
}
