// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import GRDB
import TestSupport
import Testing

@testable import SQLite

@Suite("SQLite restore")
struct SQLiteRestoreTests {
    @Test("brings everything back, in the journal mode it had, with owner and mode", arguments: ["wal", "delete"])
    func roundTrip(journalMode: String) async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: journalMode)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: fixture.path)
        let before = try SQLiteFixture.dump(fixture.path)
        let copy = try await fixture.capture()
        try SQLiteFixture.execute(fixture.path, "DELETE FROM notes; PRAGMA user_version = 8")
        try await fixture.restoreFully(copy)
        #expect(try SQLiteFixture.dump(fixture.path) == before)
        let mode = try FileManager.default.attributesOfItem(atPath: fixture.path)[.posixPermissions] as? Int
        #expect(mode == 0o640)
        #expect(
            try fixture.names().filter { !$0.hasSuffix("-shm") && !$0.hasSuffix("-wal") } == [
                "app.db", "app.db.before-k3f9",
            ])

        try await fixture.adapter().settle(try fixture.restore(copy), journal: fixture.journal)
        #expect(try fixture.names().filter { $0.contains("before") } == [])
        #expect(try SQLiteFixture.dump(fixture.path) == before)
        await #expect(throws: Failure.self) {
            try await fixture.adapter().rollBack(try fixture.restore(copy), journal: fixture.journal)
        }
    }

    @Test("the log of the old database never meets the new one, and goes back with the old one")
    func staleLog() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let copy = try await fixture.capture()
        // A reader in a transaction of an earlier moment keeps the log from being emptied.
        let reader = try DatabasePool(path: fixture.path)
        let snapshot = try reader.makeSnapshot()
        try SQLiteFixture.execute(fixture.path, "UPDATE notes SET body = 'today'")
        #expect((DatabaseFile.size(fixture.path + "-wal") ?? 0) > 0)
        try await fixture.restoreFully(copy)
        let restored = try DatabaseQueue(path: fixture.path)
        #expect(
            try await restored.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM notes WHERE body = 'today'") }
                == 0)
        #expect(try await restored.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") } == "ok")
        try restored.close()
        try snapshot.close()
        try reader.close()

        try await fixture.adapter().rollBack(try fixture.restore(copy), journal: fixture.journal)
        let old = try DatabaseQueue(path: fixture.path)
        #expect(
            try await old.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM notes WHERE body = 'today'") } == 500)
        #expect(try await old.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") } == "ok")
        try old.close()
        #expect(try fixture.names().filter { $0.contains("k3f9") } == [])
    }

    @Test("a damaged live database is replaced, and kept as it was")
    func overDamage() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: "delete")
        let before = try SQLiteFixture.dump(fixture.path)
        let copy = try await fixture.capture()
        let rubbish = Data((0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try rubbish.write(to: URL(fileURLWithPath: fixture.path))
        try await fixture.restoreFully(copy)
        #expect(try SQLiteFixture.dump(fixture.path) == before)
        try await fixture.adapter().rollBack(try fixture.restore(copy), journal: fixture.journal)
        #expect(try Data(contentsOf: URL(fileURLWithPath: fixture.path)) == rubbish)
    }

    @Test(
        "restores where nothing is, and under another name; rolling back leaves nothing there",
        arguments: [true, false])
    func elsewhere(renamed: Bool) async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let before = try SQLiteFixture.dump(fixture.path)
        let copy = try await fixture.capture()
        let other = renamed ? fixture.folder("other.db") : fixture.path
        if !renamed {
            for name in try fixture.names() { try FileManager.default.removeItem(atPath: fixture.folder(name)) }
        }
        try await fixture.restoreFully(copy, rename: renamed ? other : nil)
        #expect(try SQLiteFixture.dump(other) == before)
        try await fixture.adapter().rollBack(
            try fixture.restore(copy, rename: renamed ? other : nil), journal: fixture.journal)
        #expect(!FileManager.default.fileExists(atPath: other))
        #expect(FileManager.default.fileExists(atPath: fixture.path) == renamed)
    }

    @Test("a symbolic link stays one, and the file it leads to is replaced")
    func link() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: "delete")
        let copy = try await fixture.capture()
        let real = fixture.folder("real.db")
        try FileManager.default.moveItem(atPath: fixture.path, toPath: real)
        try FileManager.default.createSymbolicLink(atPath: fixture.path, withDestinationPath: real)
        try SQLiteFixture.execute(real, "DELETE FROM notes")
        try await fixture.restoreFully(copy)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: fixture.path) == real)
        #expect(try SQLiteFixture.dump(real).contains("note 5 about"))
    }

    @Test("killed before or after the exchange, a promotion is finished or undone", arguments: [1, 2], [true, false])
    func killed(record: Int, finishing: Bool) async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let copy = try await fixture.capture()
        let captured = try SQLiteFixture.dump(fixture.path)
        try SQLiteFixture.execute(fixture.path, "UPDATE notes SET body = 'today'")
        let today = try SQLiteFixture.dump(fixture.path)
        let (adapter, restore) = (try fixture.adapter(), try fixture.restore(copy))
        try await adapter.stage(restore, journal: fixture.journal)
        await fixture.journal.dieAtRecord(record)
        await #expect(throws: MortalJournal.Killed.self) {
            try await adapter.promote(restore, journal: fixture.journal)
        }
        await fixture.journal.dieAtRecord(nil)
        if finishing {
            try await adapter.promote(restore, journal: fixture.journal)
        } else {
            try await adapter.rollBack(restore, journal: fixture.journal)
        }
        #expect(try SQLiteFixture.dump(fixture.path) == (finishing ? captured : today))
    }

    @Test("killed at any step of the exchange, files and logs find their places", arguments: 0...4)
    func killedInside(step: Int) throws {
        let folder = try TemporaryDirectory("swap")
        let target = folder("a.db")
        try folder.write("a.db", "old")
        try folder.write("a.db-wal", "old log")
        try folder.write("a.db.salvor-x", "new")
        var record = SQLiteRecord()
        record.target = target
        record.new = DatabaseFile.inode(target + ".salvor-x")
        record.old = DatabaseFile.inode(target)
        let files = FileManager.default
        // What the steps do, one after the other, on a file system that cannot exchange.
        let moves = [("a.db-wal", "a.db.before-x-wal"), ("a.db", "a.db.before-x"), ("a.db.salvor-x", "a.db")]
        for (source, destination) in moves.prefix(step) {
            try files.moveItem(atPath: folder(source), toPath: folder(destination))
        }
        if step == 4 { try folder.write("a.db-wal", "new log") }
        func text(_ name: String) throws -> String { try String(contentsOfFile: folder(name), encoding: .utf8) }

        let swap = try FileSwap(record, id: "x")
        try swap.forward()
        #expect(try text("a.db") == "new")
        #expect(try text("a.db.before-x") == "old")
        #expect(try text("a.db.before-x-wal") == "old log")
        #expect(files.fileExists(atPath: folder("a.db-wal")) == (step == 4))
        try swap.forward()
        try swap.back()
        #expect(try files.contentsOfDirectory(atPath: folder.path).sorted() == ["a.db", "a.db-wal"])
        #expect(try text("a.db") == "old")
        #expect(try text("a.db-wal") == "old log")
        try swap.back()
        #expect(try text("a.db") == "old")
    }

    @Test("a staged copy that lost rows is noticed, and can be abandoned")
    func verification() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let copy = try await fixture.capture()
        let (adapter, restore) = (try fixture.adapter(), try fixture.restore(copy))
        try await adapter.stage(restore, journal: fixture.journal)
        try SQLiteFixture.execute(fixture.path + ".salvor-k3f9", "DELETE FROM pairs WHERE left LIKE 'note 1%'")
        let different = try await adapter.verify(restore, journal: fixture.journal).filter { !$0.isEqual }
        #expect(different.map(\.name) == ["table pairs rows"])
        try await adapter.abandon(restore, journal: fixture.journal)
        #expect(try fixture.names().filter { $0.contains("k3f9") } == [])
    }

    @Test("refuses to promote over an exclusive lock, and tells who has the file open")
    func locked() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill(journalMode: "delete")
        let copy = try await fixture.capture()
        let (adapter, restore) = (try fixture.adapter(), try fixture.restore(copy))
        try await adapter.stage(restore, journal: fixture.journal)
        let holder = Process()
        holder.executableURL = URL(fileURLWithPath: "/usr/bin/sqlite3")
        holder.arguments = [fixture.path]
        let (input, output) = try holder.start {
            let pipes = (Pipe(), Pipe())
            (holder.standardInput, holder.standardOutput) = pipes
            return pipes
        }
        try input.fileHandleForWriting.write(contentsOf: Data("BEGIN EXCLUSIVE;\nSELECT 'held';\n".utf8))
        #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).contains("held"))
        let plan = try await adapter.planRestore(restore)
        #expect(plan.warnings.contains { $0.contains("sqlite3 (\(holder.processIdentifier))") })
        await #expect {
            try await adapter.promote(restore, journal: fixture.journal)
        } throws: { ($0 as? Failure)?.code == .restoreBlocked }
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
        try await adapter.promote(restore, journal: fixture.journal)
    }

    @Test("a plan tells what is replaced, and blocks on a missing folder")
    func plan() async throws {
        let fixture = try SQLiteFixture()
        try fixture.fill()
        let copy = try await fixture.capture()
        let plan = try await fixture.adapter().planRestore(try fixture.restore(copy))
        #expect(plan.blockers == [])
        #expect(plan.replaces.first?.contains("app.db") == true)
        #expect(plan.creates.contains { $0.hasSuffix("app.db.before-k3f9") })
        let lost = try await fixture.adapter().planRestore(try fixture.restore(copy, rename: "/no/such/folder/x.db"))
        #expect(lost.blockers.count == 1)
        let locked = try await fixture.adapter().planRestore(try fixture.restore(copy, rename: "/proc/x.db"))
        #expect(!locked.blockers.isEmpty)
    }
}
