// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation

/// Puts staged tables in the live ones' place, and back.
///
/// Tables move from database to database by one `RENAME TABLE` statement; where each one is is asked of the server every
/// time, so that any step may be repeated after a crash. What does not move that way (views, routines, triggers, events) is
/// written to the restore's kept folder first, dropped, and made again from its text.
struct Swapping: Sendable {
    let server: Server
    let place: RestorePlace
    let journal: any RestoreJournal
    var state: RestoreState

    private var catalog: Catalog { Catalog(server: server) }

    // MARK: - Forward

    /// All databases of the restore, one after another; a failure puts back those that were exchanged.
    mutating func promote(_ restore: SourceRestore) async throws {
        let choice = try RestoreChoice(restore)
        for item in state.items where ![.staged, .promoting, .promoted, .rolledBack].contains(item.stage) {
            throw Failure(
                .restoreBlocked, "the database '\(item.source)' cannot be promoted: it is \(item.stage.rawValue)",
                hint: "Stage and verify the restore first.")
        }
        let accounts =
            choice.isWhole && choice.server.hasAccounts && server.settings.restoresAccounts
            ? try await Staging.missingAccounts(server, restore, made: state.accounts) : []
        for (index, item) in state.items.enumerated() where item.stage != .promoted {
            guard let record = choice.databases.first(where: { $0.record.name == item.source })?.record else {
                throw Failure(.integrity, "the bundle does not know the database '\(item.source)'")
            }
            do {
                if item.stage != .promoting { try await begin(index) }
                if index == 0 { try await create(accounts) }
                try await forward(index, record, restore)
            } catch {
                // Also when this task was cancelled: the live database must not stay without its programs.
                let broken = self
                self = await Task {
                    var repair = broken
                    await repair.putBack()
                    return repair
                }.value
                throw error
            }
        }
        try await grant(accounts)
    }

    private mutating func putBack() async {
        await journal.note("promotion failed, putting the old tables back")
        do { try await rollBack() } catch {
            await journal.note(
                "unable to put the old tables back now: \(Failure.wrapping(error).summary); roll the restore back once the "
                    + "server answers")
        }
    }

    /// Writes down what there is, before anything of it is touched.
    private mutating func begin(_ index: Int) async throws {
        var item = state.items[index]
        let live = try await catalog.databases().first { $0.name == item.live }
        (item.oldCharacterSet, item.oldCollation) = (live?.characterSet, live?.collation)
        item.oldTables = live == nil ? [] : try await catalog.tables(item.live).filter { !$0.isView }.map(\.name)
        item.newTables = try await catalog.tables(item.staged).filter { !$0.isView }.map(\.name)
        if try await catalog.databases().contains(where: { $0.name == item.before }) {
            throw Failure(
                .targetExists, "there is a database '\(item.before)' already", hint: "Rename or drop it first.")
        }
        if live != nil {
            let commands = DumpCommands(server: server, dump: try await server.dumpProgram())
            let views = try await catalog.tables(item.live).filter(\.isView).map(\.name)
            let texts = [
                KeptPrograms.programs(index, in: place): try await commands.programs(item.live, views: views),
                KeptPrograms.events(index, in: place): try await commands.events(item.live),
            ]
            try await Blocking.run { for (path, text) in texts { try KeptPrograms.write(text, to: path) } }
        }
        item.stage = .promoting
        state.items[index] = item
        try await state.save(journal)
        await journal.note("promoting '\(item.staged)' to '\(item.live)'")
    }

    private mutating func forward(_ index: Int, _ record: DatabaseRecord, _ restore: SourceRestore) async throws {
        let item = state.items[index]
        let like = RestorePlanning.create("x", record).components(after: "`x` ")
        var statements = ["CREATE DATABASE IF NOT EXISTS \(SQLText.name(item.live)) \(like)"]
        if item.existed { statements.append("CREATE DATABASE IF NOT EXISTS \(SQLText.name(item.before))") }
        // Dropped and renamed by one client in one go, so that the moment without triggers is short.
        statements += try await drops(item.live) + (try await drops(item.staged))
        if let rename = TablePlaces.statement(try await TablePlaces(item, catalog).forward) {
            statements.append(rename)
        }
        statements.append("ALTER DATABASE \(SQLText.name(item.live)) \(like)")
        try await server.execute(statements)
        if record.hasPrograms {
            try await Staging.load(
                try restore.stream(record.programs), into: item.live, server, "the programs of '\(item.live)'")
        }
        if !record.events.isEmpty {
            try await Staging.load(
                try restore.stream(record.scheduled), into: item.live, server, "the events of '\(item.live)'")
        }
        let present = try await catalog.tables(item.live)
        let events = try await catalog.programs(item.live).events
        guard Set(present.filter { !$0.isView }.map(\.name)) == Set(item.newTables),
            Set(present.filter(\.isView).map(\.name)) == Set(record.views), Set(events).isSuperset(of: record.events)
        else { throw Failure(.restoreFailed, "tables, views or events of '\(item.live)' are not what was staged") }
        try await removeEmptied(item.staged)
        state.items[index].stage = .promoted
        try await state.save(journal)
    }

    /// Statements that drop everything in a database but its tables.
    private func drops(_ database: String) async throws -> [String] {
        let programs = try await catalog.programs(database)
        let views = try await catalog.tables(database).filter(\.isView)
        return programs.events.map { "DROP EVENT IF EXISTS \(SQLText.name(database, $0))" }
            + programs.triggers.map { "DROP TRIGGER IF EXISTS \(SQLText.name(database, $0))" }
            + views.map { "DROP VIEW IF EXISTS \(SQLText.name(database, $0.name))" }
            + programs.routines.map { "DROP \($0.kind) IF EXISTS \(SQLText.name(database, $0.name))" }
    }

    private func removeEmptied(_ database: String) async throws {
        guard try await catalog.databases().contains(where: { $0.name == database }) else { return }
        guard try await catalog.tables(database).isEmpty else {
            throw Failure(.restoreFailed, "the database '\(database)' is not empty, so it is kept")
        }
        try await server.execute(["DROP DATABASE \(SQLText.name(database))"])
    }

    // MARK: - Accounts

    private mutating func create(_ accounts: [Accounts.Definition]) async throws {
        guard !accounts.isEmpty else { return }
        state.accounts = Array(Set(state.accounts).union(accounts.map(\.name))).sorted()
        try await state.save(journal)
        await journal.note("creating the accounts \(accounts.map(\.name).joined(separator: ", "))")
        try await server.execute(accounts.flatMap(\.creates))
    }

    private func grant(_ accounts: [Accounts.Definition]) async throws {
        for statement in accounts.flatMap(\.grants) {
            do { try await server.execute([statement]) } catch let failure as Failure
                where failure.code != .sourceUnreachable
            {
                // What the grant is about may be outside of this source.
                await journal.note("a grant was left out: \(failure.summary)")
            }
        }
    }

    // MARK: - Back

    /// Puts all old tables and programs back, the last database first.
    mutating func rollBack() async throws {
        for item in state.items where item.stage == .settled {
            throw Failure(
                .restoreFailed, "the old tables of '\(item.live)' are gone: the restore was settled",
                hint: "Restore an earlier bundle instead.")
        }
        for index in state.items.indices.reversed() { try await rollBack(index) }
        if !state.accounts.isEmpty {
            try await server.execute(state.accounts.map(Removing.drop))
            state.accounts = []
            try await state.save(journal)
        }
    }

    private mutating func rollBack(_ index: Int) async throws {
        let item = state.items[index]
        guard [.promoting, .promoted].contains(item.stage) else { return }
        await journal.note("putting the old '\(item.live)' back")
        // A promotion that ended well has removed the emptied one.
        var statements = [
            "CREATE DATABASE IF NOT EXISTS \(SQLText.name(item.staged))",
            "CREATE DATABASE IF NOT EXISTS \(SQLText.name(item.live))",
        ]
        let places = try await TablePlaces(item, catalog)
        statements += try await drops(item.live)
        if let rename = TablePlaces.statement(places.backward) { statements.append(rename) }
        if let characterSet = item.oldCharacterSet, let collation = item.oldCollation {
            statements.append(
                "ALTER DATABASE \(SQLText.name(item.live)) CHARACTER SET \(characterSet) COLLATE \(collation)")
        }
        try await server.execute(statements)
        if item.existed {
            for path in [KeptPrograms.programs(index, in: place), KeptPrograms.events(index, in: place)] {
                let text = try await Blocking.run { try KeptPrograms.read(path) }
                try await server.load(into: item.live, about: "the kept programs of '\(item.live)'") { forward in
                    try await Blocking.run { try text.withUnsafeBytes { try forward($0) } }
                }
            }
            try await removeEmptied(item.before)
        } else {
            try await removeEmptied(item.live)
        }
        // The copy may hold what was written since the promotion: it is kept, and can be looked at.
        await journal.note("the restored tables are kept in '\(item.staged)': drop it when nobody needs it")
        state.items[index].stage = .rolledBack
        try await state.save(journal)
    }
}

extension String {
    /// What follows the first `mark`; empty when there is none.
    fileprivate func components(after mark: String) -> String {
        range(of: mark).map { String(self[$0.upperBound...]) } ?? ""
    }
}
