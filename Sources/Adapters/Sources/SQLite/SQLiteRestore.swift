// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import GRDB
import Glibc

extension SQLiteAdapter {
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        guard [.none, .staging, .staged].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of '\(wantedPath(restore))' is past its staging")
        }
        let path = wantedPath(restore)
        record.target = try await Blocking.run { try DatabaseFile.resolve(path) }
        record.phase = .staging
        try await record.write(to: journal)
        let target = record.target
        let staged = FileSwap.staged(target, restore.restoreID)
        let stream = try restore.stream(Self.stream)
        let file = try await Blocking.run { try StagedFile(staged) }
        try await stream.read(nil) { try file.write($0) }
        let data = restore.contents.restoreData
        let isLogged = data["journalMode"]?.string == "wal"
        record.new = try await Blocking.run {
            let present = try DatabaseFile.find(target)
            try file.finish(
                user: present?.user ?? data["uid"]?.integer.flatMap { UInt32(exactly: $0) },
                group: present?.group ?? data["gid"]?.integer.flatMap { UInt32(exactly: $0) },
                mode: present?.mode ?? data["mode"]?.integer.flatMap { UInt32(exactly: $0) })
            if isLogged { try Self.setLogged(staged) }
            return DatabaseFile.inode(staged)
        }
        record.phase = .staged
        try await record.write(to: journal)
    }

    /// The copy was made one plain file; the database had a write-ahead log, and its header says so again.
    private static func setLogged(_ path: String) throws {
        try saying(path) {
            let queue = try DatabaseQueue(path: path)
            let mode = try queue.writeWithoutTransaction {
                try String.fetchOne($0, sql: "PRAGMA journal_mode = WAL")
            }
            try queue.close()
            guard mode == "wal" else { throw Failure(.restoreFailed, "'\(path)' does not take a write-ahead log") }
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let record = try await SQLiteRecord.read(journal)
        let staged = FileSwap.staged(record.target, restore.restoreID)
        guard record.phase == .staged, DatabaseFile.inode(staged) == record.new else {
            throw Failure(.restoreFailed, "nothing is staged for '\(wantedPath(restore))'", hint: "Restore again.")
        }
        let found = try await CancellationFlag.run { flag in
            do { return try SQLiteInspection(staged, of: staged, flag) } catch let failure as Failure {
                throw Failure(.verifyFailed, failure.summary, hint: "The live database was not touched.")
            }
        }
        for notice in found.notices { await journal.note(notice) }
        return restore.contents.facts.compared(with: found.facts)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        switch record.phase {
        case .promoted: return
        case .staged:
            let target = record.target
            let busySeconds = min(settings.busyTimeoutSeconds, 10)
            if let note = try await Blocking.run({ try Self.calm(target, busySeconds) }) { await journal.note(note) }
            let users = try await Blocking.run { OpenFiles.users(of: target) }
            if !users.isEmpty {
                await journal.note("'\(target)' is open in \(users.joined(separator: ", ")): restart it")
            }
            record.old = DatabaseFile.inode(target)
            record.phase = .promoting
            try await record.write(to: journal)
        case .promoting: break
        default: throw Failure(.restoreFailed, "nothing is staged for '\(wantedPath(restore))'")
        }
        let swap = try FileSwap(record, id: restore.restoreID)
        try await Blocking.run { try swap.forward() }
        record.phase = .promoted
        try await record.write(to: journal)
    }

    /// Brings what is in the live database's write-ahead log into its file, so that the file that is kept is whole.
    ///
    /// - Returns: why that was not possible, when the database is in no state for it.
    /// - Throws: `Failure(.restoreBlocked)` when somebody holds it exclusively.
    private static func calm(_ path: String, _ busySeconds: Int) throws -> String? {
        guard let file = try DatabaseFile.find(path), file.size > 0 else { return nil }
        var configuration = Configuration()
        configuration.busyMode = .timeout(Double(busySeconds))
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? queue.close() }  // the checkpoint is done; a file that stays open is closed with the value
            try queue.writeWithoutTransaction { database in
                try database.execute(sql: "BEGIN IMMEDIATE; ROLLBACK")
                _ = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            }
            return nil
        } catch let error as DatabaseError where [.SQLITE_BUSY, .SQLITE_LOCKED].contains(error.resultCode) {
            throw Failure(
                .restoreBlocked, "'\(path)' is locked by another program", hint: "Stop the program, then promote again."
            )
        } catch let error as DatabaseError {
            // The usual reason for a restore.
            return "the live database is kept as it is: \(error.message ?? "it cannot be opened")"
        }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        switch record.phase {
        case .rolledBack: return
        case .settled:
            throw Failure(.restoreFailed, "the old file of '\(record.target)' is gone: it was settled")
        case .none, .staging, .staged, .abandoned:
            return try await abandon(place, journal: journal)
        case .promoting, .promoted: break
        }
        let swap = try FileSwap(record, id: place.restoreID)
        try await Blocking.run { try swap.back() }
        record.phase = .rolledBack
        try await record.write(to: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        guard ![.promoting, .promoted, .settled].contains(record.phase) else {
            throw Failure(
                .restoreFailed, "the restore of '\(record.target)' was promoted already",
                hint: "Roll it back instead.")
        }
        if !record.target.isEmpty {
            let staged = FileSwap.staged(record.target, place.restoreID)
            try await Blocking.run {
                for suffix in [""] + DatabaseFile.companions where unlink(staged + suffix) != 0 && errno != ENOENT {
                    throw Failure.system("remove", staged + suffix, errno)
                }
            }
        }
        record.phase = .abandoned
        try await record.write(to: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var record = try await SQLiteRecord.read(journal)
        guard [.promoted, .settled].contains(record.phase) else {
            throw Failure(.restoreFailed, "the restore of source '\(place.source)' is not promoted")
        }
        let swap = try FileSwap(record, id: place.restoreID)
        record.phase = .settled
        try await record.write(to: journal)
        try await Blocking.run { try swap.forget() }
    }
}
