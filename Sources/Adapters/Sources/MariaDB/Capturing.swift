// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// One capture of a server: every database at a moment of its own, then the accounts.
struct Capturing: Sendable {
    private struct Captured: Sendable {
        var record: DatabaseRecord
        var facts: Facts
        var notices: [String]
    }

    let server: Server
    let sink: any CaptureSink
    private let commands: DumpCommands
    private let catalog: Catalog

    init(server: Server, sink: any CaptureSink) async throws {
        self.server = server
        self.sink = sink
        commands = DumpCommands(server: server, dump: try await server.dumpProgram())
        catalog = Catalog(server: server)
    }

    func run() async throws -> CaptureReport {
        let selection = DatabaseSelection(settings: server.settings, present: try await catalog.databases())
        let chosen = try selection.chosen()
        let captures = try await withThrowingTaskGroup(of: Captured.self) { group in
            var (remaining, results): (ArraySlice<DatabaseSelection.Database>, [Captured]) = (chosen[...], [])
            while let database = remaining.popFirst() {
                if chosen.count - remaining.count > server.settings.jobs, let result = try await group.next() {
                    results.append(result)
                }
                group.addTask { try await capture(database) }
            }
            for try await result in group { results.append(result) }
            return results.sorted { $0.record.name < $1.record.name }
        }
        var notices = selection.leftOut + captures.flatMap(\.notices)
        var facts = Facts()
        for capture in captures { facts.values.merge(capture.facts.values) { _, new in new } }
        if server.settings.capturesAccounts {
            let accounts = try await Accounts(server: server).read()
            try await write(accounts.text, to: ServerRecord.accounts, fileName: "accounts.sql")
        }
        if !server.identity.hasBinaryLog {
            notices.append("the server writes no binary log: there is no position to go on from")
        }
        let record = ServerRecord(
            server.identity, dump: commands.dump, hasAccounts: server.settings.capturesAccounts,
            databases: captures.map(\.record))
        let positions = captures.compactMap { capture in capture.record.position.map { "\(capture.record.name) \($0)" }
        }
        return CaptureReport(
            engine: server.identity.engine, facts: facts, restoreData: try record.json, notices: notices,
            position: positions.isEmpty ? nil : positions.joined(separator: ", "))
    }

    // MARK: - One database

    private func capture(_ database: DatabaseSelection.Database) async throws -> Captured {
        do { return try await captured(database) } catch let failure as Failure {
            throw failure.summary.contains("'\(database.name)'")
                ? failure : failure.prefixed("database '\(database.name)'")
        }
    }

    private func captured(_ database: DatabaseSelection.Database) async throws -> Captured {
        let name = database.name
        let tables = try await catalog.tables(name)
        let programs = try await catalog.programs(name)
        let views = tables.filter(\.isView).map(\.name)
        var record = DatabaseRecord(
            name: name, characterSet: database.characterSet, collation: database.collation,
            bytes: try await catalog.bytes(name), views: views, events: programs.events,
            hasPrograms: !views.isEmpty || !programs.routines.isEmpty || !programs.triggers.isEmpty,
            engines: Set(tables.filter { !$0.isView }.map(\.engine)).sorted())
        let outcome = Mutex<(scanner: DumpScanner, position: String?)?>(nil)
        let program = commands.tables(name, leavingOut: views, withPosition: server.identity.hasBinaryLog)
        _ = try await sink.raw(
            record.tables, fileName: record.fileName(".sql"), estimatedBytes: UInt64(exactly: record.bytes)
        ) { output in
            let found = try await commands.run(program, DumpStream(output, counts: true), about: "database '\(name)'")
            outcome.withLock { $0 = (found.scanner, found.position) }
            return found.end
        }
        guard let found = outcome.withLock({ $0 }) else { throw Failure(.internalError, "a dump without an outcome") }
        record.position = found.position
        var facts = found.scanner.facts(of: name)
        if record.hasPrograms {
            try await write(
                try await commands.programs(name, views: views), to: record.programs,
                fileName: record.fileName(".programs.sql"))
            facts.values.merge(try await catalog.programFacts(name, as: name).values) { _, new in new }
        }
        if !record.events.isEmpty {
            try await write(
                try await commands.events(name), to: record.scheduled, fileName: record.fileName(".events.sql"))
        }
        // Tables and programs are read one after the other: what was made or dropped in between must not go unnoticed.
        let now = try await catalog.tables(name)
        guard now.map(\.name) == tables.map(\.name), try await catalog.programs(name) == programs,
            Set(found.scanner.tables.keys) == Set(tables.filter { !$0.isView }.map(\.name))
        else {
            throw Failure(
                .sourceChanged, "tables, views or programs of '\(name)' were made or dropped while it was dumped",
                hint: "Run the backup again when no migration is under way, or set 'retries' for the source.")
        }
        return Captured(record: record, facts: facts, notices: notices(name, tables))
    }

    private func notices(_ database: String, _ tables: [Catalog.Table]) -> [String] {
        let drifting = tables.filter { !$0.isView && !$0.isSequence && !$0.hasTransactions }.map(\.name)
        guard !drifting.isEmpty, server.settings.nonTransactional == .report else { return [] }
        return [
            "tables of '\(database)' without transactions, whose rows may be of different moments: "
                + drifting.prefix(20).joined(separator: ", ")
                + (drifting.count > 20 ? " and \(drifting.count - 20) more" : "")
        ]
    }

    private func write(_ text: [UInt8], to stream: String, fileName: String) async throws {
        _ = try await sink.raw(stream, fileName: fileName, estimatedBytes: UInt64(text.count)) { output in
            try await Blocking.run { try output.write(text) }
            return StreamEnd(length: UInt64(text.count))
        }
    }
}
