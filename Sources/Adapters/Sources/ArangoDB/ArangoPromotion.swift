// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization
import WebServices

extension ArangoAdapter {
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: ArangoRecord())
            switch page.record.phase {
            case .promoted: return
            case .staged:
                let present = try await server.databases()
                try await page.write { record in
                    record.phase = .promoting
                    for index in record.units.indices {
                        record.units[index].way = way(of: record.units[index], present)
                    }
                }
            case .promoting: break
            default: throw Failure(.restoreFailed, "nothing is staged of '\(environment.source.name)'")
            }
            for index in page.record.units.indices where !page.record.units[index].isPlaced {
                try await place(index, restore, &page, server)
                try await page.write { $0.units[index].isPlaced = true }
            }
            try await restoreUsers(restore, &page, server)
            try await page.write { $0.phase = .promoted }
        }
    }

    private func place(
        _ index: Int, _ restore: SourceRestore, _ page: inout JournalPage<ArangoRecord>, _ server: ArangoServer
    ) async throws {
        let unit = page.record.units[index]
        switch unit.way {
        case nil, .beside:
            await page.note("'\(unit.live)' stays as it is: point clients at '\(unit.staged)'")
            return
        case .replace where !unit.isKept:
            try await tools.removeDirectory(unit.kept)
            await page.note("dumping the live '\(unit.live)' to '\(unit.kept)'")
            try await tools.dump(unit.live, into: unit.kept)
            let counts = try await server.counts(unit.live)
            try await page.write {
                $0.units[index].isKept = true
                $0.units[index].keptCounts = counts
            }
        case .replace, .anew: break
        }
        // Whatever has the name now is kept, or was begun by an attempt that was cut short.
        try await server.drop(unit.live)
        try await tools.restore(unit.directory, into: unit.live, withSystem: true)
        let found = try await server.facts(unit.live, as: unit.name, withGraphs: true)
        let wrong = restore.contents.facts.compared(with: found).filter {
            $0.name.hasPrefix("database \(unit.name) ") && $0.recorded != nil && !$0.isEqual
        }
        guard wrong.isEmpty else {
            throw Failure(
                .verifyFailed, "database '\(unit.live)' differs in \(wrong.map(\.name).joined(separator: ", "))",
                hint: "Roll back; the restored copy '\(unit.staged)' is whole.")
        }
        try await server.drop(unit.staged)
    }

    /// Makes users that are missing, without a password, and gives users of the bundle their rights on what was placed.
    private func restoreUsers(
        _ restore: SourceRestore, _ page: inout JournalPage<ArangoRecord>, _ server: ArangoServer
    ) async throws {
        guard let stream = restore.streams.first(where: { $0.name == ArangoNames.users }) else { return }
        let bytes = Mutex<[UInt8]>([])
        try await stream.read(nil) { part in bytes.withLock { $0.append(contentsOf: part) } }
        let stored = try JSONValue.reading(bytes.withLock { $0 }, "the list of users").array ?? []
        guard let present = try await server.users() else {
            await page.note("users were not restored: the user may not manage them")
            return
        }
        let known = Set(present.compactMap { $0["user"]?.string })
        for user in stored {
            guard let name = user["user"]?.string, name != "root" else { continue }
            let grants = page.record.units.compactMap { unit -> (String, String)? in
                guard let level = user["grants"]?[unit.name]?.string, ["rw", "ro", "none"].contains(level) else {
                    return nil
                }
                return (unit.way == .beside ? unit.staged : unit.live, level)
            }
            guard !grants.isEmpty else { continue }
            if !known.contains(name) {
                try await page.write { if !$0.users.contains(name) { $0.users.append(name) } }
                try await server.createInactiveUser(name)
                await page.note("user '\(name)' was made, not active: set a password, then activate it")
            }
            for (database, level) in grants { try await server.grant(level, on: database, to: name) }
        }
    }

    // MARK: Back

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: ArangoRecord())
            switch page.record.phase {
            case .settled:
                throw Failure(.restoreFailed, "the old data of '\(environment.source.name)' is gone: it was settled")
            case .rolledBack, .abandoned: return
            case .none, .staging, .staged: break
            case .promoting, .promoted, .rollingBack:
                try await page.write { $0.phase = .rollingBack }
                for unit in page.record.units { try await putBack(unit, server) }
                for user in page.record.users { try await server.removeUser(user) }
            }
            try await clean(page.record, server)
            try await page.write { $0.phase = .rolledBack }
        }
    }

    private func putBack(_ unit: ArangoRecord.Unit, _ server: ArangoServer) async throws {
        switch unit.way {
        case nil, .beside: return
        case .anew: try await server.drop(unit.live)
        case .replace:
            // Without a kept dump the live one was not touched.
            guard unit.isKept else { return }
            try await server.drop(unit.live)
            try await tools.restore(unit.kept, into: unit.live, withSystem: true)
            let counts = try await server.counts(unit.live)
            guard counts == unit.keptCounts else {
                throw Failure(
                    .verifyFailed, "database '\(unit.live)' is back, but not as it was",
                    hint: "Its dump is in '\(unit.kept)' beside the server; restore it by hand.")
            }
        }
    }

    /// Removes the staged databases and all folders.
    private func clean(_ record: ArangoRecord, _ server: ArangoServer) async throws {
        for unit in record.units {
            try await server.drop(unit.staged)
            for folder in [unit.directory, unit.kept] { try await tools.removeDirectory(folder) }
        }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await withServer { server in
            var page = try await JournalPage(journal, empty: ArangoRecord())
            switch page.record.phase {
            case .none, .staging, .staged, .abandoned, .rolledBack: break
            default:
                throw Failure(
                    .restoreFailed, "the restore of '\(environment.source.name)' was promoted already",
                    hint: "Roll it back instead.")
            }
            try await clean(page.record, server)
            try await page.write { $0.phase = .abandoned }
        }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var page = try await JournalPage(journal, empty: ArangoRecord())
        guard page.record.phase == .promoted || page.record.phase == .settled else {
            throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is not promoted")
        }
        try await page.write { $0.phase = .settled }
        for unit in page.record.units {
            for folder in [unit.directory, unit.kept] { try await tools.removeDirectory(folder) }
            if unit.way == .beside {
                await page.note("the old '\(unit.live)' stays: remove it when clients use '\(unit.staged)'")
            }
        }
    }
}
