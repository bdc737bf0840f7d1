// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A restore into new collections, put in place by switching aliases. A live collection whose own name clients use is
/// copied aside first and then gives its name to an alias.
///
/// Every step may be called again after a crash: what is there already is told by the server.
public struct AliasedRestore<Engine: AliasedEngine>: Sendable {
    private let engine: Engine
    private let source: String
    private var page: JournalPage<AliasedRecord>

    public init(_ engine: Engine, source: String, journal: any RestoreJournal) async throws {
        self.engine = engine
        self.source = source
        page = try await JournalPage(journal, empty: AliasedRecord())
    }

    public var record: AliasedRecord { page.record }

    /// The units of a restore.
    ///
    /// - Parameters:
    ///   - names: the bundle's collections that are restored.
    ///   - aliases: the bundle's collections by alias.
    ///   - rename: the only name under which the only one shall be found.
    public static func units(
        _ names: [String], aliases: [String: String], rename: String?, restoreID: String
    ) -> [AliasedRecord.Unit] {
        names.sorted().map { name in
            let own = aliases.filter { $0.value == name }.map(\.key).sorted()
            return AliasedRecord.Unit(
                name: name, staged: GivenNames.staged(rename ?? name, restoreID),
                names: rename.map { [$0] } ?? (own.isEmpty ? [name] : own))
        }
    }

    /// What a promotion would replace and what stands in the way, as a plan tells it.
    public static func outlook(
        _ units: [AliasedRecord.Unit], collections: Set<String>, aliases: [String: String], isRenamed: Bool
    ) -> (replaces: [String], blockers: [String], warnings: [String]) {
        var (replaces, blockers, warnings) = ([String](), [String](), [String]())
        for unit in units {
            if collections.contains(unit.staged) {
                blockers.append("there is a collection '\(unit.staged)' already: remove it first")
            }
            for name in unit.names {
                if isRenamed, collections.contains(name) || aliases[name] != nil {
                    blockers.append("there is something named '\(name)' already")
                } else if let current = aliases[name] {
                    replaces.append("alias '\(name)' (now collection '\(current)', which is kept)")
                } else if collections.contains(name) {
                    replaces.append("collection '\(name)' (copied aside first)")
                    warnings.append(
                        "'\(name)' is a collection and no alias: it is copied aside, removed, and its name becomes an "
                            + "alias of the restored one; hold back writes to it meanwhile")
                }
            }
            if !unit.names.contains(unit.name), collections.contains(unit.name) {
                warnings.append(
                    "clients that use the collection '\(unit.name)' by its own name go on with the old one")
            }
        }
        return (replaces, blockers, warnings)
    }

    /// Loads every unit into its new collection.
    public mutating func stage(
        _ units: [AliasedRecord.Unit], load: (AliasedRecord.Unit) async throws -> Void
    ) async throws {
        switch record.phase {
        case .none:
            let present = try await engine.collections()
            if let unit = units.first(where: { present.contains($0.staged) }) {
                throw Failure(
                    .targetExists, "there is a collection '\(unit.staged)' already",
                    hint: "Remove it if nobody uses it, then restore again.")
            }
            try await page.write {
                $0.phase = .staging
                $0.units = units
            }
        case .staging: break
        case .staged: return
        default: throw Failure(.restoreFailed, "the restore of '\(source)' is past its staging")
        }
        for index in record.units.indices where !record.units[index].isLoaded {
            let unit = record.units[index]
            // What an attempt that was cut short left is not trusted.
            try await engine.remove(unit.staged)
            try await load(unit)
            try await page.write { $0.units[index].isLoaded = true }
            await page.note("'\(unit.name)' is loaded as '\(unit.staged)'")
        }
        try await page.write { $0.phase = .staged }
    }

    /// Switches the names to what is staged.
    public mutating func promote() async throws {
        switch record.phase {
        case .promoted: return
        case .staged: try await lookAndNote()
        case .promoting: break
        default: throw Failure(.restoreFailed, "nothing is staged of '\(source)'")
        }
        for index in record.units.indices where !record.units[index].isCopied {
            let unit = record.units[index]
            guard let replaced = unit.replaced, let old = unit.old else { continue }
            try await engine.remove(old)
            await page.note("copying '\(replaced)' aside as '\(old)'")
            try await engine.copy(replaced, to: old)
            try await page.write { $0.units[index].isCopied = true }
        }
        var change = AliasChange(pointing: [:])
        for unit in record.units {
            for name in unit.names { change.pointing[name] = unit.staged }
            if let replaced = unit.replaced { change.removing.append(replaced) }
        }
        try await engine.switchOver(change)
        try await page.write { $0.phase = .promoted }
    }

    private mutating func lookAndNote() async throws {
        let (collections, aliases) = (try await engine.collections(), try await engine.aliases())
        if let lost = record.units.first(where: { !collections.contains($0.staged) }) {
            throw Failure(.restoreFailed, "the staged collection '\(lost.staged)' is gone", hint: "Restore again.")
        }
        var units = record.units
        var before: [AliasedRecord.Before] = []
        for index in units.indices {
            for name in units[index].names {
                if collections.contains(name) {
                    units[index].replaced = name
                    units[index].old = units[index].staged + "_old"
                } else {
                    before.append(AliasedRecord.Before(alias: name, collection: aliases[name]))
                }
            }
        }
        let (noted, known) = (units, before)
        try await page.write {
            $0.phase = .promoting
            $0.units = noted
            $0.before = known
        }
    }

    /// Gives every name back what it meant before.
    public mutating func rollBack() async throws {
        switch record.phase {
        case .settled:
            throw Failure(.restoreFailed, "the old data of '\(source)' is gone: it was settled")
        case .rolledBack, .abandoned: return
        case .none, .staging, .staged: break
        case .promoting, .promoted, .rollingBack:
            try await page.write { $0.phase = .rollingBack }
            let present = try await engine.collections()
            var change = AliasChange(pointing: [:])
            for entry in record.before {
                if let collection = entry.collection {
                    guard present.contains(collection) else {
                        throw Failure(
                            .restoreFailed, "collection '\(collection)', which '\(entry.alias)' stood for, is gone",
                            hint: "The restored copy stays in its place; restore an older bundle instead.")
                    }
                    change.pointing[entry.alias] = collection
                } else {
                    change.dropping.append(entry.alias)
                }
            }
            for unit in record.units {
                guard let replaced = unit.replaced, let old = unit.old else { continue }
                if present.contains(replaced) {
                    // It was never removed; an alias that was to take its name may be there already.
                    change.dropping.append(replaced)
                } else {
                    change.pointing[replaced] = old
                    await page.note("'\(replaced)' is an alias of its copy '\(old)' from now on")
                }
            }
            try await engine.switchOver(change)
        }
        try await removeStaged()
        try await page.write { $0.phase = .rolledBack }
    }

    private func removeStaged() async throws {
        let inUse = Set(try await engine.aliases().values)
        let present = try await engine.collections()
        for unit in record.units {
            if !inUse.contains(unit.staged) { try await engine.remove(unit.staged) }
            // The copy of a collection that was never replaced is of no use.
            if let replaced = unit.replaced, let old = unit.old, present.contains(replaced), !inUse.contains(old) {
                try await engine.remove(old)
            }
        }
    }

    /// Removes what was staged and never promoted.
    public mutating func abandon() async throws {
        switch record.phase {
        case .none, .staging, .staged, .abandoned, .rolledBack: break
        default:
            throw Failure(
                .restoreFailed, "the restore of '\(source)' was promoted already", hint: "Roll it back instead.")
        }
        for unit in record.units { try await engine.remove(unit.staged) }
        try await page.write { $0.phase = .abandoned }
    }

    /// Removes the old collections, unless something else still stands for them.
    public mutating func settle() async throws {
        guard record.phase == .promoted || record.phase == .settled else {
            throw Failure(.restoreFailed, "the restore of '\(source)' is not promoted")
        }
        try await page.write { $0.phase = .settled }
        let inUse = Set(try await engine.aliases().values)
        let staged = Set(record.units.map(\.staged))
        for old in record.before.compactMap(\.collection) + record.units.compactMap(\.old)
        where !inUse.contains(old) && !staged.contains(old) {
            try await engine.remove(old)
        }
    }
}
