// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization
import WebServices

extension MeilisearchAdapter {
    /// One index of the bundle.
    struct Stored: Sendable {
        var uid: String
        var primaryKey: String?
        var settings: JSONValue
        var count: Int64
        var sample: [String]
        /// Where its documents are in the stream of a dump; nil: they have a stream of their own.
        var place: Range<UInt64>?

        init?(_ value: JSONValue) {
            guard let uid = value["uid"]?.string, let count = value["count"]?.integer else { return nil }
            (self.uid, self.count) = (uid, count)
            primaryKey = value["primaryKey"]?.string
            settings = value["settings"] ?? [:]
            sample = (value["sample"]?.array ?? []).compactMap(\.string)
            if let offset = value["offset"]?.integer.flatMap({ UInt64(exactly: $0) }),
                let length = value["length"]?.integer.flatMap({ UInt64(exactly: $0) })
            {
                place = offset..<(offset + length)
            }
        }
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        do {
            return try await withServer { server in try await plan(restore, server) }
        } catch let failure as Failure {
            return SourceRestorePlan(target: name, origin: restore.contents.engine, blockers: [failure.summary])
        }
    }

    private func plan(_ restore: SourceRestore, _ server: MeilisearchServer) async throws -> SourceRestorePlan {
        let version = try await server.version()
        var plan = SourceRestorePlan(
            target: "Meilisearch \(version) at \(settings.web.url)", origin: restore.contents.engine)
        plan.blockers += Self.versionBlockers(restore, version)
        let chosen = try Self.chosen(restore)
        let units = Self.units(restore, chosen)
        let present = try await server.indexes()
        if restore.rename != nil, chosen.count != 1 {
            plan.blockers.append("'--rename' takes one index, and \(chosen.count) are chosen: use '--include'")
        }
        for unit in units {
            if present[unit.staged] != nil {
                plan.blockers.append("there is an index '\(unit.staged)' already: remove it first")
            }
            guard present[unit.live] != nil else { continue }
            if restore.rename != nil {
                plan.blockers.append("there is an index '\(unit.live)' already")
            } else {
                plan.replaces.append("index \(unit.live) (\(try await server.documentCount(unit.live)) documents)")
            }
        }
        let pending = try await server.pendingTasks()
        if pending > 0 {
            plan.warnings.append(
                "\(pending) tasks are pending: what they change goes to the restored indexes if it runs after the swap")
        }
        plan.warnings.append("hold back writes during the promotion: a task that waits then meets the other content")
        plan.creates = units.map { "index \($0.staged)" }
        plan.bytesNeeded = try chosen.reduce(0) { try $0 + UInt64(Self.documents(restore, $1).place.count) }
        plan.steps = units.map {
            .init("stage", "load '\($0.uid)' into a new index", command: "POST /indexes/\($0.staged)/documents")
        }
        plan.steps += [
            .init("verify", "compare documents, settings and samples", command: "GET /indexes/…/stats"),
            .init("promote", "swap all indexes in one task", command: "POST /swap-indexes"),
            .init("promote", "make API keys that are missing", command: "POST /keys"),
        ]
        return plan
    }

    /// Documents and settings go forward only: an older server does not know every setting of a newer one.
    static func versionBlockers(_ restore: SourceRestore, _ version: MeilisearchVersion) -> [String] {
        guard let origin = restore.contents.restoreData["version"]?.string.flatMap({ MeilisearchVersion($0) }) else {
            return ["the bundle does not tell which version of Meilisearch it came from"]
        }
        guard version < origin else { return [] }
        return ["Meilisearch \(version) is older than \(origin), from which the bundle is: use \(origin) or newer"]
    }

    static func chosen(_ restore: SourceRestore) throws -> [Stored] {
        let all = (restore.contents.restoreData["indexes"]?.array ?? []).compactMap { Stored($0) }
        let names = ChosenNames(restore.include.isEmpty ? nil : restore.include)
        let chosen = all.filter { names.contains($0.uid) }
        guard !chosen.isEmpty || all.isEmpty else {
            throw Failure(
                .nothingSelected, "the bundle has no such index of '\(restore.contents.name)'",
                hint: "It has \(all.map(\.uid).joined(separator: ", ")).")
        }
        return chosen
    }

    static func units(_ restore: SourceRestore, _ chosen: [Stored]) -> [MeilisearchRecord.Unit] {
        chosen.map { stored in
            let live = restore.rename ?? stored.uid
            return MeilisearchRecord.Unit(
                uid: stored.uid, live: live, staged: GivenNames.staged(live, restore.restoreID))
        }
    }

    /// The stream with the documents of an index, and where they are in it.
    static func documents(
        _ restore: SourceRestore, _ stored: Stored
    ) throws -> (stream: any StoredStream, place: Range<UInt64>) {
        if let place = stored.place { return (try restore.stream(MeilisearchNames.dump), place) }
        let stream = try restore.stream(MeilisearchNames.stream(stored.uid))
        return (stream, 0..<stream.receipt.length)
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let chosen = try Self.chosen(restore)
        guard restore.rename == nil || chosen.count == 1 else {
            throw Failure(.restoreBlocked, "'--rename' takes one index", hint: "Choose it with '--include'.")
        }
        try await withServer { server in
            var page = try await JournalPage(journal, empty: MeilisearchRecord())
            switch page.record.phase {
            case .none:
                let blockers = Self.versionBlockers(restore, try await server.version())
                guard blockers.isEmpty else { throw Failure(.versionRefused, blockers.joined(separator: "; ")) }
                let units = Self.units(restore, chosen)
                let present = try await server.indexes()
                if let unit = units.first(where: { present[$0.staged] != nil }) {
                    throw Failure(
                        .targetExists, "there is an index '\(unit.staged)' already",
                        hint: "Remove it if nobody uses it, then restore again.")
                }
                try await page.write {
                    $0.phase = .staging
                    $0.units = units
                }
            case .staging: break
            case .staged: return
            default: throw Failure(.restoreFailed, "the restore of '\(environment.source.name)' is past its staging")
            }
            for index in page.record.units.indices where !page.record.units[index].isLoaded {
                let unit = page.record.units[index]
                guard let stored = chosen.first(where: { $0.uid == unit.uid }) else { continue }
                // What an attempt that was cut short left is not trusted.
                try await server.remove(unit.staged)
                try await load(stored, as: unit.staged, from: restore, server)
                try await page.write { $0.units[index].isLoaded = true }
                await page.note("'\(unit.uid)' is loaded as '\(unit.staged)'")
            }
            try await page.write { $0.phase = .staged }
        }
    }

    /// Bytes read from a bundle at once: as long as its segments are, so that none is fetched twice.
    private static let readSize: UInt64 = 32 << 20
    /// Bytes sent at once; servers take 100 MB unless told otherwise.
    private static let sendSize = 16 << 20

    private func load(
        _ stored: Stored, as staged: String, from restore: SourceRestore, _ server: MeilisearchServer
    ) async throws {
        try await server.create(staged, primaryKey: stored.primaryKey)
        if !stored.settings.members.isEmpty {
            // A null means the default, which a new index has, and some servers refuse it.
            let settings = stored.settings.members.filter { $0.value != .null }
            try await server.apply(.object(settings), to: staged)
        }
        let (stream, place) = try Self.documents(restore, stored)
        var rest: [UInt8] = []
        var position = place.lowerBound
        while position < place.upperBound {
            let end = min((position / Self.readSize + 1) * Self.readSize, place.upperBound)
            let part = Mutex<[UInt8]>([])
            try await stream.read(position..<end) { bytes in part.withLock { $0.append(contentsOf: bytes) } }
            rest += part.withLock { $0 }
            position = end
            let isLast = position == place.upperBound
            // The last line may lack its end.
            if isLast, let last = rest.last, last != 10 { rest.append(10) }
            while rest.count > Self.sendSize || isLast && !rest.isEmpty {
                let batch = Self.batch(rest)
                guard batch > 0 else { break }
                try await server.add(Array(rest[..<batch]), to: staged)
                rest.removeFirst(batch)
            }
        }
        guard rest.isEmpty else { throw Failure(.integrity, "the documents of '\(stored.uid)' end in the middle") }
        let count = try await server.documentCount(staged)
        guard count == stored.count else {
            throw Failure(
                .restoreFailed,
                "\(server.web.name) says that it took '\(stored.uid)', and has \(count) of \(stored.count) documents",
                hint: "The live indexes were not touched; look at GET /tasks and in the server's log.")
        }
    }

    /// How many of `bytes` are whole lines to send at once: up to the size, or one longer line.
    private static func batch(_ bytes: [UInt8]) -> Int {
        if bytes.count <= sendSize { return (bytes.lastIndex(of: 10) ?? -1) + 1 }
        if let end = bytes[..<sendSize].lastIndex(of: 10) { return end + 1 }
        return (bytes.firstIndex(of: 10) ?? -1) + 1
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let chosen = try Self.chosen(restore)
        return try await withServer { server in
            let page = try await JournalPage(journal, empty: MeilisearchRecord())
            let present = try await server.indexes()
            var (recorded, found) = (Facts(), Facts())
            for stored in chosen {
                guard let unit = page.record.units.first(where: { $0.uid == stored.uid && $0.isLoaded }) else {
                    throw Failure(.restoreFailed, "index '\(stored.uid)' is not staged")
                }
                let kinds = [
                    MeilisearchNames.documents, MeilisearchNames.primaryKey, MeilisearchNames.settings(_:),
                    MeilisearchNames.sample,
                ]
                let names = kinds.map { $0(stored.uid) }
                for name in names { recorded[name] = restore.contents.facts[name] }
                found[names[0]] = .count(try await server.documentCount(unit.staged))
                // An index without documents has found no primary key yet; one with documents has.
                found[names[1]] = .text((present[unit.staged] ?? nil) ?? "none")
                // A newer server knows more settings; those that were recorded must be as they were. A dump writes them in
                // another form, and then that the server took them must do.
                if recorded[names[2]] == nil { continue }
                let settings = try await server.settings(unit.staged).settings.members
                    .filter { stored.settings[$0.key] != nil }
                found[names[2]] = .text(SHA256Digest.of(JSONValue.object(settings).canonical.utf8).description)
                guard recorded[names[3]] != nil else { continue }
                var documents: [JSONValue] = []
                for id in stored.sample {
                    if let document = try await server.document(unit.staged, id: id) { documents.append(document) }
                }
                found[names[3]] = .text(IndexCopy.digest(documents))
            }
            return recorded.compared(with: found)
        }
    }
}
