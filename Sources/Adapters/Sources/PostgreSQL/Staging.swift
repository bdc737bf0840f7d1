// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// Restores databases beside the live ones.
struct Staging {
    let server: Server
    let restore: SourceRestore
    let journal: any RestoreJournal
    let choice: RestoreChoice
    private var state: RestoreState

    /// Plans first, and refuses what the plan refuses.
    ///
    /// - Throws: `Failure(.restoreBlocked)` before anything is changed.
    init(server: Server, _ restore: SourceRestore, _ journal: any RestoreJournal) async throws {
        self.server = server
        self.restore = restore
        self.journal = journal
        let choice = try RestoreChoice(restore)
        self.choice = choice
        var planning = RestorePlanning(server: server, restore: restore, choice: choice)
        if await journal.recorded == .null {
            state = RestoreState(
                items: choice.databases.map {
                    RestoreState.Item(
                        source: $0.record.name, live: $0.live, staged: DatabaseNames.staged($0.live, restore.restoreID),
                        before: DatabaseNames.before($0.live, restore.restoreID))
                })
        } else {
            state = try await RestoreState.recorded(journal)
            guard state.items.allSatisfy({ [.creating, .staged].contains($0.stage) }) else {
                throw Failure(
                    .restoreBlocked, "the restore '\(restore.restoreID)' is past its staging",
                    hint: "Promote it, roll it back, or begin a new restore.")
            }
            planning.ownDatabases = Set(state.items.map(\.staged))
        }
        let plan = try await planning.plan()
        guard plan.blockers.isEmpty else {
            throw Failure(
                .restoreBlocked, "the restore is not possible: \(plan.blockers.joined(separator: "; "))",
                hint: "Nothing was changed; 'salvor restore --dry-run' shows the whole plan.")
        }
    }

    mutating func run() async throws {
        let target = try await RestoreTarget.read(server)
        try await state.save(journal)
        try await createRoles(target)
        for (index, item) in state.items.enumerated() {
            guard let record = choice.databases.first(where: { $0.record.name == item.source })?.record else {
                throw Failure(.stateDamaged, "the journal names a database '\(item.source)' that is not chosen")
            }
            try await stage(record, index, target)
        }
    }

    // MARK: - Roles

    /// The roles that the globals make and the target lacks, and the statements for them. A restore of chosen databases
    /// makes only the roles these need.
    static func missingRoles(
        _ restore: SourceRestore, _ choice: RestoreChoice, existing: Set<String>
    ) async throws -> (roles: Set<String>, statements: [String]) {
        let collected = Mutex<[UInt8]>([])
        let stream = try restore.stream("globals")
        guard stream.receipt.length <= 256 << 20 else { throw Failure(.integrity, "the globals are too large") }
        try await stream.read(nil) { bytes in collected.withLock { $0.append(contentsOf: bytes) } }
        let text = String(decoding: collected.withLock { $0 }, as: UTF8.self)
        var roles = Set(try GlobalsText.roles(text)).subtracting(existing)
        if !restore.include.isEmpty { roles.formIntersection(choice.neededRoles) }
        var statements = try GlobalsText.statements(text, creating: roles)
        let afterwards = existing.union(roles)
        statements = statements.compactMap {
            GlobalsText.membership($0, known: afterwards, keepsGrantor: choice.cluster.serverNumber >= 160_000)
        }
        return (roles, statements)
    }

    /// All missing roles in one transaction, so that a crash leaves none or all.
    private mutating func createRoles(_ target: RestoreTarget) async throws {
        guard choice.cluster.hasGlobals else { return }
        let (roles, statements) = try await Self.missingRoles(restore, choice, existing: target.roles)
        guard !roles.isEmpty else { return }
        state.roles = Array(Set(state.roles).union(roles)).sorted()
        try await state.save(journal)
        await journal.note("creating the roles \(roles.sorted().joined(separator: ", "))")
        let script =
            "BEGIN;\nSET standard_conforming_strings = on;\n" + statements.joined(separator: ";\n") + ";\nCOMMIT;"
        try await server.execute(script)
    }

    // MARK: - One database

    private mutating func stage(_ record: DatabaseRecord, _ index: Int, _ target: RestoreTarget) async throws {
        let item = state.items[index]
        let server = server.away(from: item.names)
        let present = try await DatabaseList.read(server).named(item.staged)
        if item.stage == .staged, let present, present.oid == item.stagedID { return }
        // The name holds this restore's id and the journal has it: what is there is our own half-made copy.
        if present != nil { try await server.execute(DatabaseStatements.drop(item.staged)) }
        state.items[index].stage = .creating
        state.items[index].stagedID = nil
        try await state.save(journal)
        await journal.note("restoring database '\(item.source)' into '\(item.staged)'")
        try await server.execute(
            DatabaseStatements.create(
                item.staged, like: record, major: server.identity.major, tablespaces: target.tablespaces)
                // Nobody but its owner has business in a half-made copy.
                + "\nREVOKE ALL ON DATABASE \(SQLText.identifier(item.staged)) FROM PUBLIC;")
        let isPlaced = choice.missingTablespaces(target.tablespaces).isEmpty
        try await load(record, into: item.staged, withTablespaces: isPlaced)
        try await server.execute("ANALYZE;", in: item.staged)
        guard let made = try await DatabaseList.read(server).named(item.staged) else {
            throw Failure(.restoreFailed, "the database '\(item.staged)' disappeared while it was restored")
        }
        state.items[index].stagedID = made.oid
        state.items[index].stage = .staged
        try await state.save(journal)
    }

    /// `pg_restore`, from a file with several workers, or from standard input with one.
    static func restoreProgram(
        _ server: Server, into database: String, withTablespaces: Bool, file: String?
    ) -> Program {
        var arguments = ["--exit-on-error"]
        if !withTablespaces { arguments.append("--no-tablespaces") }
        if let file { arguments += ["--jobs=\(server.settings.jobs)", file] }
        return server.programs.program("pg_restore", database: database, arguments)
    }

    private func load(_ record: DatabaseRecord, into database: String, withTablespaces: Bool) async throws {
        let stream = try restore.stream(record.stream)
        guard server.transport.reachesLocalFiles else {
            let program = Self.restoreProgram(server, into: database, withTablespaces: withTablespaces, file: nil)
            let (failure, exit) = try await server.transport.run(program) { pipes -> Failure? in
                async let drained = Blocking.run { try pipes.forEachChunk { _ in } }
                var stopped: Failure?
                do {
                    try await stream.read(nil) { try pipes.write($0) }
                } catch let error as Failure where error.code == .programFailed {
                    // pg_restore says itself why it stopped reading.
                    stopped = error
                }
                try await Blocking.run { try pipes.closeInput() }
                _ = try await drained
                return stopped
            }
            try DumpFailure.check(exit, of: program, programs: server.programs, about: "database '\(record.name)'")
            if let failure { throw failure }
            return
        }
        let spool = try SpoolFile("\(restore.scratchDirectory)/\(record.stream).dump")
        defer { spool.remove() }
        try await stream.read(nil) { try spool.write($0) }
        let program = Self.restoreProgram(server, into: database, withTablespaces: withTablespaces, file: spool.path)
        let (_, exit) = try await server.transport.outputAndExit(of: program)
        try DumpFailure.check(exit, of: program, programs: server.programs, about: "database '\(record.name)'")
    }
}
