// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization
import WebServices

extension MeilisearchAdapter {
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: MeilisearchRecord())
            switch page.record.phase {
            case .promoted: return
            case .staged:
                let present = try await server.indexes()
                if let lost = page.record.units.first(where: { present[$0.staged] == nil }) {
                    throw Failure(.restoreFailed, "the staged index '\(lost.staged)' is gone", hint: "Restore again.")
                }
                if try await !server.waitUntilIdle(seconds: min(30, settings.taskTimeout)) {
                    await page.note("tasks are pending: those that run after the swap change the restored indexes")
                }
                let newest = try await server.newestTask()
                try await page.write {
                    $0.phase = .promoting
                    $0.swapAfter = newest
                    for index in $0.units.indices { $0.units[index].isNew = present[$0.units[index].live] == nil }
                }
            case .promoting: break
            default: throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
            }
            let present = try await server.indexes()
            for unit in page.record.units where unit.isNew && present[unit.live] == nil {
                try await server.create(unit.live, primaryKey: nil)
            }
            try await swap(page.record, after: page.record.swapAfter, server)
            try await makeKeys(restore, &page, server)
            try await page.write { $0.phase = .promoted }
        }
    }

    /// Swaps all indexes with their staged ones, unless a task newer than `task` has done or is doing it: two swaps
    /// would undo each other.
    private func swap(_ record: MeilisearchRecord, after task: Int64?, _ server: MeilisearchServer) async throws {
        let step = "swapping indexes"
        guard try await !isSwapped(record, after: task, server), !record.units.isEmpty else { return }
        let pairs = record.units.map { JSONValue.object(["indexes": [.string($0.live), .string($0.staged)]]) }
        try await server.perform("POST", "/swap-indexes", .array(pairs), step: step)
    }

    /// Whether a swap of these indexes newer than `task` ended well; one that is under way is waited for.
    private func isSwapped(
        _ record: MeilisearchRecord, after task: Int64?, _ server: MeilisearchServer
    ) async throws -> Bool {
        guard let task, let unit = record.units.first else { return false }
        let swaps = try await server.tasks(after: task, types: ["indexSwap"]).filter { swap in
            (swap.json["details"]?["swaps"]?.array ?? []).contains {
                Set(($0["indexes"]?.array ?? []).compactMap(\.string)) == [unit.live, unit.staged]
            }
        }
        for swap in swaps where swap.isPending { try await server.finish(swap.uid, step: "swapping indexes") }
        return swaps.contains { $0.isPending || $0.status == "succeeded" }
    }

    /// Makes the API keys of the bundle that the server does not have. Their text follows from the master key.
    private func makeKeys(
        _ restore: SourceRestore, _ page: inout JournalPage<MeilisearchRecord>, _ server: MeilisearchServer
    ) async throws {
        // Part of a server, or a second copy, brings no keys.
        guard restore.include.isEmpty, restore.rename == nil,
            let stream = restore.streams.first(where: { $0.name == MeilisearchNames.keys })
        else { return }
        guard let present = try await server.keys() else {
            await page.note("API keys were not restored: the key in use may not manage them")
            return
        }
        let bytes = Mutex<[UInt8]>([])
        try await stream.read(nil) { part in bytes.withLock { $0.append(contentsOf: part) } }
        let stored = try JSONValue.reading(bytes.withLock { $0 }, "the list of API keys").array ?? []
        let known = Set(present.compactMap { $0["uid"]?.string })
        for key in stored {
            guard let uid = key["uid"]?.string, !known.contains(uid) else { continue }
            try await page.write { if !$0.keys.contains(uid) { $0.keys.append(uid) } }
            var body: [String: JSONValue] = ["expiresAt": .null]
            for field in ["uid", "name", "description", "actions", "indexes", "expiresAt"] {
                if let value = key[field] { body[field] = value }
            }
            let reply = try await server.web.send(
                "POST", "/keys", body: Array(JSONValue.object(body).canonical.utf8), step: "making an API key",
                accepting: [200, 201, 400, 409])
            if reply.status == 400 {
                // Such as one that has expired meanwhile.
                await page.note("API key '\(uid)' was not made: \(server.web.redacting(reply.complaint))")
            } else if let made = reply.json?["key"]?.string, let old = key["key"]?.string, made != old {
                await page.note("API key '\(uid)' has another text now: the master key is another one")
            }
        }
    }

    // MARK: Back

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: MeilisearchRecord())
            switch page.record.phase {
            case .settled:
                throw Failure(.restoreFailed, "the old data of '\(environment.source.name)' is gone: it was settled")
            case .rolledBack, .abandoned: return
            case .none, .staging, .staged: break
            case .promoting, .promoted:
                let wasSwapped = try await isSwapped(page.record, after: page.record.swapAfter, server)
                let newest = try await server.newestTask()
                try await page.write {
                    $0.phase = .rollingBack
                    $0.wasSwapped = wasSwapped
                    $0.swapBackAfter = newest
                }
                try await swapBack(page.record, server)
            case .rollingBack: try await swapBack(page.record, server)
            }
            try await removeStaged(page.record, server)
            try await page.write { $0.phase = .rolledBack }
        }
    }

    private func swapBack(_ record: MeilisearchRecord, _ server: MeilisearchServer) async throws {
        if record.wasSwapped { try await swap(record, after: record.swapBackAfter, server) }
        for unit in record.units where unit.isNew { try await server.remove(unit.live) }
        for key in record.keys {
            _ = try await server.web.send(
                "DELETE", "/keys/\(WebConnection.segment(key))", step: "removing an API key",
                accepting: [200, 204, 404])
        }
    }

    private func removeStaged(_ record: MeilisearchRecord, _ server: MeilisearchServer) async throws {
        for unit in record.units { try await server.remove(unit.staged) }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: MeilisearchRecord())
            switch page.record.phase {
            case .none, .staging, .staged, .abandoned, .rolledBack: break
            default:
                throw Failure(
                    .restoreFailed, "the restore of '\(environment.source.name)' was promoted already",
                    hint: "Roll it back instead.")
            }
            try await removeStaged(page.record, server)
            try await page.write { $0.phase = .abandoned }
        }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: MeilisearchRecord())
            guard page.record.phase == .promoted || page.record.phase == .settled else {
                throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is not promoted")
            }
            try await page.write { $0.phase = .settled }
            // After the swap these hold the old content.
            try await removeStaged(page.record, server)
        }
    }
}
