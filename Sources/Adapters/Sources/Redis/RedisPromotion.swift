// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension RedisAdapter {
    /// Where the live server's own data is kept; the folder is also a scratch server's when it is put back.
    private func keptFolder(_ place: RestorePlace) -> String { place.keepDirectory + "/old" }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var page = try await RedisPage(journal)
        switch page.record.phase {
        case .promoted: return
        case .staged, .keeping, .replicating: try await replace(restore, &page)
        case .replaced: break
        default: throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
        }
        try await RedisHandover.putSettingsBack(live, &page)
        try await applyRules(restore, &page)
        try await settlePersistence(page)
        try await page.write { $0.phase = .promoted }
        try await ScratchServer.remove(in: restore.scratchDirectory, transport: environment.transport)
    }

    private func replace(_ restore: SourceRestore, _ page: inout RedisPage) async throws {
        let world: RedisHandover.World =
            page.record.phase == .replicating ? try await RedisHandover.look(live, page.record) : .untouched
        if world != .done {
            let scratch = try await scratchServer(restore, page.record)
            let handover = RedisHandover(live: live, scratch: scratch)
            switch world {
            case .untouched:
                try await keepAndBegin(restore, handover, &page)
            case .unclear:
                // Its data may be newer than what is kept, so it is kept as well.
                _ = try await keepLive(at: restore.keepDirectory + "/before-resuming.rdb")
                await page.note("\(live.name) was restarted meanwhile: what it held is in before-resuming.rdb")
                try await handover.begin(&page, .replicating)
            case .following, .done:
                try await handover.begin(&page, .replicating)
            }
            await page.note("\(live.name) takes over the data")
            try await handover.finish(&page)
        }
        try await page.write { $0.phase = .replaced }
    }

    /// Copies the live data aside and turns the live server to the scratch one, with no write in between.
    private func keepAndBegin(
        _ restore: SourceRestore, _ handover: RedisHandover, _ page: inout RedisPage
    ) async throws {
        try await page.write { $0.phase = .keeping }
        let folder = keptFolder(restore.place)
        try await Blocking.run {
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
                throw Failure(.localInput, "unable to create '\(folder)': \(String(cString: strerror(errno)))")
            }
        }
        let pause = try await WritePause.begin(live)
        if pause == nil { await page.note("the server cannot hold back writes: some may miss in the kept copy") }
        do {
            let info = try await live.connect().info()
            guard !info.isReplica else {
                throw Failure(.restoreFailed, "\(live.name) has become a replica: restore on its master")
            }
            let summary = try await keepLive(at: ScratchServer.dump(in: folder))
            var facts = RedisNames.facts(
                databases: summary.databases, functions: summary.functions.mapValues(\.description))
            facts["rdb format"] = .text(summary.version.description)
            let databases = (summary.databases.keys.max() ?? 0) + 1
            try await page.write {
                $0.liveReplicationID = info["master_replid"]
                $0.oldFacts = facts
                $0.databases = max($0.databases, databases)
            }
            try await handover.begin(&page, .replicating)
        } catch {
            await pause?.end()
            throw error
        }
        // As a replica it refuses writes by itself, and the pause would hold back its master's.
        await pause?.end()
    }

    private func keepLive(at path: String) async throws -> RDBSummary {
        let file = try await Blocking.run { try DurableFile(path) }
        let summary = try await receive { try file.write($0) }
        try await Blocking.run { try file.commit() }
        return summary
    }

    // MARK: Back

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var page = try await RedisPage(journal)
        switch page.record.phase {
        case .settled:
            throw Failure(.restoreFailed, "the old data of '\(environment.source.name)' is gone: it was settled")
        case .none, .staging, .staged, .abandoned, .keeping, .rolledBack: break
        case .replicating, .replaced, .promoted, .rollingBack:
            if try await !isUnharmed(page.record) { try await putBack(place, &page) }
        }
        try await RedisHandover.putSettingsBack(live, &page)
        try await page.write { $0.phase = .rolledBack }
        try await removeScratch(place)
    }

    /// Whether the live server still has its old data; one that follows in vain is made a master again.
    private func isUnharmed(_ record: RedisRecord) async throws -> Bool {
        guard record.phase == .replicating else { return false }
        switch try await RedisHandover.look(live, record) {
        case .untouched: return true
        case .done, .unclear: return false
        case .following:
            let connection = try await live.connect()
            let info = try await connection.info()
            guard info["master_link_status"] != "up", info["master_sync_in_progress"] == "0", !info.isLoading,
                info["master_replid"] == record.liveReplicationID
            else { return false }
            var found = try await facts(connection)
            found["rdb format"] = record.oldFacts?["rdb format"]
            guard found == record.oldFacts else { return false }
            _ = try await live.saying { try await connection.command("REPLICAOF", "NO", "ONE") }
            return true
        }
    }

    private func putBack(_ place: RestorePlace, _ page: inout RedisPage) async throws {
        let isDone =
            page.record.phase == .rollingBack ? try await RedisHandover.look(live, page.record) == .done : false
        if !isDone {
            let scratch = try await scratchServer(in: keptFolder(place), page.record)
            let handover = RedisHandover(live: live, scratch: scratch)
            try await handover.begin(&page, .rollingBack)
            await page.note("\(live.name) takes back its old data")
            try await handover.finish(&page)
        }
        try await revertRules(place, &page)
        try await settlePersistence(page)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var page = try await RedisPage(journal)
        switch page.record.phase {
        case .promoted, .settled: break
        default:
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is not promoted")
        }
        try await page.write { $0.phase = .settled }
        try await removeScratch(place)
        let paths = ["users.acl", "before-resuming.rdb"].map { place.keepDirectory + "/" + $0 }
        try await Blocking.run {
            for path in paths where unlink(path) != 0 && errno != ENOENT {
                throw Failure(.localInput, "unable to remove '\(path)': \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Stops both scratch servers and removes their files, the kept data included.
    private func removeScratch(_ place: RestorePlace) async throws {
        for folder in [place.scratchDirectory, keptFolder(place)] {
            try await ScratchServer.remove(in: folder, transport: environment.transport)
        }
    }
}
