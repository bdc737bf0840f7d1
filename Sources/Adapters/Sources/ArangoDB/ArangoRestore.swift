// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

extension ArangoAdapter {
    /// The system's own database holds users and the server's state: it is restored only when it is named.
    private static let system = "_system"

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        do {
            return try await withServer { server in try await plan(restore, server) }
        } catch let failure as Failure {
            return SourceRestorePlan(target: name, origin: restore.contents.engine, blockers: [failure.summary])
        }
    }

    private func plan(_ restore: SourceRestore, _ server: ArangoServer) async throws -> SourceRestorePlan {
        let version = try await server.version()
        var plan = SourceRestorePlan(
            target: "ArangoDB \(version) at \(settings.web.url)", origin: restore.contents.engine)
        plan.blockers += try await blockers(restore, version)
        let units = try units(restore)
        if restore.rename != nil, units.count != 1 {
            plan.blockers.append("'--rename' takes one database, and \(units.count) are chosen: use '--include'")
        }
        let present = try await server.databases()
        for unit in units {
            if present.contains(unit.staged) {
                plan.blockers.append("there is a database '\(unit.staged)' already: remove it first")
            }
            plan.steps.append(
                .init(
                    "stage", "restore '\(unit.name)' into a new database",
                    command: "\(settings.restoreProgram) --server.database \(unit.staged) --create-database true"))
            plan.creates.append("database \(unit.staged)")
            switch way(of: unit, present) {
            case .anew:
                plan.steps.append(.init("promote", "restore once more, as '\(unit.live)', and remove the first"))
                plan.creates.append("database \(unit.live)")
            case .replace:
                plan.replaces.append("database \(unit.live)")
                plan.steps.append(
                    .init("promote", "dump the live '\(unit.live)', remove it, and restore it from the bundle"))
                plan.warnings.append("'\(unit.live)' is missing for as long as its restore takes")
            case .beside:
                plan.steps.append(.init("promote", "give users of '\(unit.live)' the same rights on '\(unit.staged)'"))
                plan.warnings.append(
                    "ArangoDB cannot rename databases: '\(unit.live)' stays, and clients must be pointed at "
                        + "'\(unit.staged)' (or set 'restore: {replace: true}')")
            }
        }
        plan.steps.append(.init("verify", "count every collection", command: "GET /_api/collection/…/count"))
        plan.bytesNeeded = try units.reduce(0) { try $0 + restore.stream(ArangoNames.stream($1.name)).receipt.length }
        plan.warnings.append("users that are missing are made without a password anybody knows, and not active")
        return plan
    }

    private func blockers(_ restore: SourceRestore, _ version: ArangoVersion) async throws -> [String] {
        guard let origin = restore.contents.restoreData["version"]?.string.flatMap({ ArangoVersion($0) }) else {
            return ["the bundle does not tell which version of ArangoDB it came from"]
        }
        if version < origin {
            return ["ArangoDB \(version) is older than \(origin), from which the bundle is: use \(origin) or newer"]
        }
        let own = try await tools.version(of: settings.restoreProgram)
        return own == version ? [] : ["\(settings.restoreProgram) is \(own), and the server is \(version)"]
    }

    /// The databases to restore.
    private func units(_ restore: SourceRestore) throws -> [ArangoRecord.Unit] {
        let all = (restore.contents.restoreData["databases"]?.array ?? []).compactMap { $0["name"]?.string }
        let names =
            restore.include.isEmpty ? ChosenNames(nil, excluded: [Self.system]) : ChosenNames(restore.include)
        let chosen = all.filter(names.contains)
        guard !chosen.isEmpty || all.isEmpty || restore.include.isEmpty else {
            throw Failure(
                .nothingSelected, "the bundle has no such database of '\(restore.contents.name)'",
                hint: "It has \(all.joined(separator: ", ")).")
        }
        return chosen.enumerated().map { index, name in
            let live = restore.rename ?? name
            // A database's name begins with a letter.
            let staged = GivenNames.staged(live.hasPrefix("_") ? String(live.dropFirst()) : live, restore.restoreID)
            let folder = "\(settings.workDirectory)/salvor-\(restore.restoreID)-\(index)"
            return ArangoRecord.Unit(
                name: name, live: live, staged: staged, directory: folder, kept: "\(folder)-kept")
        }
    }

    func way(of unit: ArangoRecord.Unit, _ present: [String]) -> ArangoRecord.Way {
        if unit.live == Self.system { return .beside }
        if !present.contains(unit.live) { return .anew }
        return settings.replaces ? .replace : .beside
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let units = try units(restore)
        guard restore.rename == nil || units.count == 1 else {
            throw Failure(.restoreBlocked, "'--rename' takes one database", hint: "Choose it with '--include'.")
        }
        try await withServer { server in
            var page = try await JournalPage(journal, empty: ArangoRecord())
            switch page.record.phase {
            case .none:
                let blockers = try await blockers(restore, try await server.version())
                guard blockers.isEmpty else { throw Failure(.versionRefused, blockers.joined(separator: "; ")) }
                let present = try await server.databases()
                // arangorestore drops what has the same name without a word.
                if let unit = units.first(where: { present.contains($0.staged) }) {
                    throw Failure(
                        .targetExists, "there is a database '\(unit.staged)' already",
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
                // What an attempt that was cut short left is not trusted.
                try await server.drop(unit.staged)
                try await tools.unpack(try restore.stream(ArangoNames.stream(unit.name)), into: unit.directory)
                try await tools.restore(unit.directory, into: unit.staged, withSystem: unit.name != Self.system)
                try await page.write { $0.units[index].isLoaded = true }
                await page.note("'\(unit.name)' is restored as '\(unit.staged)'")
            }
            try await page.write { $0.phase = .staged }
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await withServer { server in
            let page = try await JournalPage(journal, empty: ArangoRecord())
            var (recorded, found) = (Facts(), Facts())
            for unit in page.record.units {
                guard unit.isLoaded else {
                    throw Failure(.restoreFailed, "database '\(unit.name)' is not staged")
                }
                let present = try await server.facts(unit.staged, as: unit.name, withGraphs: unit.name != Self.system)
                for (name, value) in present.values { found[name] = value }
                for (name, value) in restore.contents.facts.values where name.hasPrefix("database \(unit.name) ") {
                    // Graphs of _system are in its system collections, which are not restored beside.
                    if unit.name == Self.system, name == ArangoNames.graphs(unit.name) { continue }
                    recorded[name] = value
                }
            }
            return recorded.compared(with: found).filter { $0.recorded != nil }
        }
    }
}

extension ArangoServer {
    /// What a database holds, under the names of facts of database `name`.
    func facts(_ database: String, as name: String, withGraphs: Bool) async throws -> Facts {
        var facts = Facts()
        for (collection, count) in try await counts(database) {
            facts[ArangoNames.documents(collection, name)] = .count(count)
        }
        facts[ArangoNames.views(name)] = .count(try await views(database))
        if withGraphs { facts[ArangoNames.graphs(name)] = .count(try await graphs(database)) }
        return facts
    }
}
