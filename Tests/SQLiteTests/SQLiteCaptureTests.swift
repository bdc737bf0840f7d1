// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import GRDB
import TestSupport
import Testing

@testable import SQLite

@Suite("SQLite capture")
struct SQLiteCaptureTests {
    @Test("takes everything, the write-ahead log included", arguments: ["wal", "delete"])
    func everything(journalMode: String) async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: journalMode)
        // An open connection keeps the log from being written back: the main file alone would be old.
        let application = try DatabaseQueue(path: fixture.path)
        try await application.write {
            try $0.execute(
                sql: """
                    INSERT INTO notes VALUES(9999, 'only in the log', NULL);
                    INSERT INTO outside(rowid, body) VALUES(9999, 'only in the log')
                    """)
        }
        let copy = try await fixture.capture()
        let taken = fixture.temporary("taken.db")
        try Data(copy.bytes).write(to: URL(fileURLWithPath: taken))
        #expect(copy.report.facts["table notes rows"] == .count(501))
        #expect(copy.report.facts["user_version"] == .count(7))
        #expect(copy.report.facts["application_id"] == .count(4711))
        #expect(copy.report.notices == [])
        #expect(copy.fileName == "app.db")
        let original = try SQLiteFixture.dump(fixture.path)
        #expect(try SQLiteFixture.dump(taken) == original.replacingOccurrences(of: "\nwal\n", with: "\ndelete\n"))
        #expect(original.contains("only in the log"))
        try application.close()
    }

    @Test("is one moment's state while somebody writes", arguments: ["wal", "delete"])
    func underWrites(journalMode: String) async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: journalMode, rows: 3000)
        try SQLiteFixture.execute(fixture.path, "CREATE TABLE a(x); CREATE TABLE b(x)")
        let path = fixture.path
        // Each transaction adds one row to both tables.
        let writer = Task {
            var configuration = Configuration()
            configuration.busyMode = .timeout(10)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            do {
                while !Task.isCancelled {
                    try await queue.write {
                        try $0.execute(
                            sql: "INSERT INTO a VALUES(randomblob(3000)); INSERT INTO b VALUES(randomblob(3000))")
                    }
                }
            } catch is CancellationError {}
            try queue.close()
        }
        for _ in 0..<4 {
            let facts = try await fixture.capture().report.facts
            #expect(facts["table a rows"] == facts["table b rows"])
        }
        writer.cancel()
        try await writer.value
    }

    @Test("leaves no copy behind, and removes those of killed captures")
    func leavesNothing() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        // No process has this number: the kernel's limit is below it.
        let orphan = fixture.temporary("salvor-sqlite-99999999-abcdef")
        try FileManager.default.createDirectory(atPath: orphan, withIntermediateDirectories: false)
        _ = try await fixture.capture()
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.temporary.path) == [])
    }

    @Test("a cancelled capture leaves no copy behind")
    func cancelled() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let adapter = try fixture.adapter()
        let task = Task { try await adapter.capture(into: MemoryCapture()) }
        task.cancel()
        await #expect(throws: (any Error).self) { _ = try await task.value }
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.temporary.path) == [])
    }

    @Test("a damaged database is refused, whether in a table or in an index")
    func damaged() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: "delete", rows: 3000)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture.path)))
        for offset in stride(from: bytes.count / 3, to: bytes.count / 3 + 9000, by: 7) { bytes[offset] ^= 0x55 }
        try Data(bytes).write(to: URL(fileURLWithPath: fixture.path))
        await #expect {
            _ = try await fixture.capture()
        } throws: { ($0 as? Failure)?.summary.contains("damaged") == true }
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.temporary.path) == [])
    }

    @Test("a full-text index that is wrong inside sound pages is refused")
    func damagedIndex() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        try SQLiteFixture.execute(fixture.path, "UPDATE own_content SET c0 = 'something else' WHERE id = 5")
        await #expect {
            _ = try await fixture.capture()
        } throws: { ($0 as? Failure)?.summary.contains("full-text index 'own'") == true }
    }

    @Test("an index that disagrees with its table, and broken references, are told")
    func notices() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        try SQLiteFixture.execute(
            fixture.path,
            """
            PRAGMA foreign_keys = OFF; CREATE TABLE child(note REFERENCES notes(id)); INSERT INTO child VALUES(123456);
            UPDATE notes SET body = 'changed behind the index' WHERE id = 3;
            """)
        let report = try await fixture.capture().report
        #expect(report.notices.contains { $0.contains("'outside' does not agree") })
        #expect(report.facts["foreign key violations"] == .count(1))
    }

    @Test("says what is wrong when there is no database")
    func missing() async throws {
        let fixture = try SQLiteFixture()
        #expect(try await fixture.adapter().preflight().first?.code == Failure.Code.sourceNotFound.text)
        try fixture.folder.write("app.db", String(repeating: "this is no database ", count: 500))
        let check = try await fixture.adapter().preflight().first
        #expect(check?.state == .failed)
        #expect(check?.detail.contains("not a SQLite database") == true)
        await #expect(throws: Failure.self) { _ = try await fixture.capture() }
    }

    @Test("a far side without the program is told")
    func far() async throws {
        let fixture = try SQLiteFixture()
        let adapter = try fixture.adapter(transport: FarTransport())
        #expect(await adapter.preflight().first?.detail == "nothing runs here")
        #expect(await adapter.preflight().first?.state == .failed)
    }

    @Test("an exclusive lock is a clear failure after the time-out")
    func locked() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: "delete")
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let holder = try DatabaseQueue(path: fixture.path, configuration: configuration)
        try await holder.writeWithoutTransaction { try $0.execute(sql: "BEGIN EXCLUSIVE") }
        await #expect {
            _ = try await fixture.capture()
        } throws: { ($0 as? Failure)?.summary.contains("locked") == true }
        try await holder.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        _ = try await fixture.capture()
    }
}
