// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

extension TypesenseAdapter {
    private typealias Aliased = AliasedRestore<TypesenseEngine>

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        do {
            return try await withServer { server in try await plan(restore, server) }
        } catch let failure as Failure {
            return SourceRestorePlan(target: name, origin: restore.contents.engine, blockers: [failure.summary])
        }
    }

    private func plan(_ restore: SourceRestore, _ server: TypesenseServer) async throws -> SourceRestorePlan {
        let version = try await server.version()
        var plan = SourceRestorePlan(
            target: "Typesense \(version) at \(settings.web.url)", origin: restore.contents.engine)
        plan.blockers += Self.versionBlockers(restore, version)
        let chosen = try Self.chosen(restore)
        let units = Self.units(restore, chosen)
        if restore.rename != nil, chosen.count != 1 {
            plan.blockers.append("'--rename' takes one collection, and \(chosen.count) are chosen: use '--include'")
        }
        let outlook = Aliased.outlook(
            units, collections: Set(try await server.collections().keys), aliases: try await server.aliases(),
            isRenamed: restore.rename != nil)
        plan.replaces = outlook.replaces
        plan.blockers += outlook.blockers
        plan.warnings = outlook.warnings + ["API keys are not restored: Typesense does not give away their text"]
        plan.creates = units.map { "collection \($0.staged)" }
        plan.bytesNeeded = try chosen.keys.reduce(0) {
            try $0 + restore.stream(TypesenseNames.stream($1)).receipt.length
        }
        plan.steps = units.map {
            .init(
                "stage", "load '\($0.name)' into a new collection",
                command: "POST /collections/\($0.staged)/documents/import?action=create")
        }
        plan.steps += [
            .init("verify", "compare all documents, fields and rules", command: "GET …/documents/export"),
            .init("promote", "switch the aliases, one after the other", command: "PUT /aliases/…"),
        ]
        return plan
    }

    private static func versionBlockers(_ restore: SourceRestore, _ version: TypesenseVersion) -> [String] {
        guard let origin = restore.contents.restoreData["version"]?.string.flatMap({ TypesenseVersion($0) }) else {
            return ["the bundle does not tell which version of Typesense it came from"]
        }
        guard version < origin else { return [] }
        return ["Typesense \(version) is older than \(origin), from which the bundle is: use \(origin) or newer"]
    }

    /// The bundle's entries by collection.
    private static func chosen(_ restore: SourceRestore) throws -> [String: JSONValue] {
        let all = restore.contents.restoreData["collections"]?.array ?? []
        let names = ChosenNames(restore.include.isEmpty ? nil : restore.include)
        var chosen: [String: JSONValue] = [:]
        for entry in all {
            if let name = entry["name"]?.string, names.contains(name) { chosen[name] = entry }
        }
        guard !chosen.isEmpty || all.isEmpty else {
            throw Failure(
                .nothingSelected, "the bundle has no such collection of '\(restore.contents.name)'",
                hint: "It has \(all.compactMap { $0["name"]?.string }.joined(separator: ", ")).")
        }
        return chosen
    }

    private static func units(_ restore: SourceRestore, _ chosen: [String: JSONValue]) -> [AliasedRecord.Unit] {
        let aliases = (restore.contents.restoreData["aliases"]?.members ?? [:]).compactMapValues(\.string)
        return Aliased.units(
            Array(chosen.keys), aliases: aliases, rename: restore.rename, restoreID: restore.restoreID)
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let chosen = try Self.chosen(restore)
        guard restore.rename == nil || chosen.count == 1 else {
            throw Failure(.restoreBlocked, "'--rename' takes one collection", hint: "Choose it with '--include'.")
        }
        try await withServer { server in
            let blockers = Self.versionBlockers(restore, try await server.version())
            guard blockers.isEmpty else { throw Failure(.versionRefused, blockers.joined(separator: "; ")) }
            var aliased = try await Aliased(
                TypesenseEngine(server: server), source: environment.source.name, journal: journal)
            try await aliased.stage(Self.units(restore, chosen)) { unit in
                guard let entry = chosen[unit.name] else { return }
                try await server.create(unit.staged, like: entry["schema"] ?? [:])
                let stream = try restore.stream(TypesenseNames.stream(unit.name))
                if stream.receipt.length > 0 {
                    let taken = try await server.add(to: unit.staged, length: stream.receipt.length) { sink in
                        try await stream.read(nil) { try sink.write($0) }
                    }
                    guard restore.contents.facts[TypesenseNames.documents(unit.name)] == .count(taken) else {
                        throw Failure(
                            .restoreFailed, "\(server.web.name) took \(taken) documents of '\(unit.name)', not all",
                            hint: "The live collections were not touched; look in the server's log.")
                    }
                }
                for kind in TypesenseNames.rules {
                    for rule in entry[kind]?.array ?? [] { try await server.put(rule, kind, into: unit.staged) }
                }
            }
        }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let chosen = try Self.chosen(restore)
        return try await withServer { server in
            let aliased = try await Aliased(
                TypesenseEngine(server: server), source: environment.source.name, journal: journal)
            let schemas = try await server.collections()
            var (recorded, found) = (Facts(), Facts())
            for name in chosen.keys {
                guard let unit = aliased.record.units.first(where: { $0.name == name && $0.isLoaded }) else {
                    throw Failure(.restoreFailed, "collection '\(name)' is not staged")
                }
                let tally = DocumentTally()
                _ = try await server.export(unit.staged) { tally.take($0) }
                let result = tally.finish()
                found[TypesenseNames.documents(name)] = .count(result.count)
                found[TypesenseNames.digest(name)] = .text(result.digest)
                found[TypesenseNames.fields(name)] = TypesenseNames.fields(of: schemas[unit.staged] ?? .null)
                for kind in TypesenseNames.rules {
                    let fact = TypesenseNames.rules(kind, name)
                    guard restore.contents.facts[fact] != nil else { continue }
                    found[fact] = .count(Int64(try await server.rules(kind, of: unit.staged)?.count ?? 0))
                }
                for fact in found.values.keys { recorded[fact] = restore.contents.facts[fact] }
            }
            return recorded.compared(with: found)
        }
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.promote() }
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.rollBack() }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.abandon() }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await continued(journal) { try await $0.settle() }
    }

    private func continued(
        _ journal: any RestoreJournal, _ step: @Sendable (inout AliasedRestore<TypesenseEngine>) async throws -> Void
    ) async throws {
        try await withServer { server in
            var aliased = try await AliasedRestore(
                TypesenseEngine(server: server), source: environment.source.name, journal: journal)
            try await step(&aliased)
        }
    }
}

/// Typesense as restores into new collections see it.
struct TypesenseEngine: AliasedEngine {
    let server: TypesenseServer

    func collections() async throws -> Set<String> { Set(try await server.collections().keys) }

    func aliases() async throws -> [String: String] { try await server.aliases() }

    func remove(_ collection: String) async throws { try await server.remove(collection) }

    /// Typesense refuses an alias that is named like a collection, so a collection goes first: between the two requests its
    /// name means nothing.
    func switchOver(_ change: AliasChange) async throws {
        for collection in change.removing { try await server.remove(collection) }
        for (alias, collection) in change.pointing.sorted(by: { $0.key < $1.key }) {
            try await server.point(alias, to: collection)
        }
        for alias in change.dropping { try await server.drop(alias) }
    }

    func copy(_ name: String, to copy: String) async throws {
        guard let schema = try await server.collections()[name] else {
            throw Failure(.restoreFailed, "collection '\(name)' is gone", hint: "Restore again.")
        }
        let before = try await server.count(name)
        try await server.create(copy, like: schema)
        if before > 0 {
            let server = server
            _ = try await server.add(to: copy, length: nil) { sink in
                _ = try await server.export(name) { try sink.write($0) }
            }
        }
        for kind in TypesenseNames.rules {
            for rule in try await server.rules(kind, of: name) ?? [] { try await server.put(rule, kind, into: copy) }
        }
        let (after, copied) = (try await server.count(name), try await server.count(copy))
        guard before == after, copied == after else {
            throw Failure(
                .restoreFailed,
                "the copy of collection '\(name)' has \(copied) documents and the collection has \(after)",
                hint: "Nothing was replaced; hold back writes and try again.")
        }
    }
}
