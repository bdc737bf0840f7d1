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
                        source: $0.record.name, live: $0.live, staged: SchemaNames.staged($0.live, restore.restoreID),
                        before: SchemaNames.before($0.live, restore.restoreID))
                })
        } else {
            state = try await RestoreState.recorded(journal)
            guard state.items.allSatisfy({ [.creating, .staged].contains($0.stage) }) else {
                throw Failure(
                    .restoreBlocked, "the restore '\(restore.restoreID)' is past its staging",
                    hint: "Promote it, roll it back, or begin a new restore.")
            }
            planning.own = Set(state.items.map(\.staged))
        }
        let plan = try await planning.plan()
        guard plan.blockers.isEmpty else {
            throw Failure(
                .restoreBlocked, "the restore is not possible: \(plan.blockers.joined(separator: "; "))",
                hint: "Nothing was changed; 'salvor restore --dry-run' shows the whole plan.")
        }
    }

    mutating func run() async throws {
        try await state.save(journal)
        for (index, item) in state.items.enumerated() {
            guard let record = choice.databases.first(where: { $0.record.name == item.source })?.record else {
                throw Failure(.stateDamaged, "the journal names a database '\(item.source)' that is not chosen")
            }
            if item.stage != .staged { try await stage(record, index) }
        }
    }

    private mutating func stage(_ record: DatabaseRecord, _ index: Int) async throws {
        let item = state.items[index]
        await journal.note("restoring database '\(item.source)' into '\(item.staged)'")
        // The name holds this restore's id and the journal has it: what is there is our own half-made copy.
        try await server.execute([
            "DROP DATABASE IF EXISTS \(SQLText.name(item.staged))", RestorePlanning.create(item.staged, record),
        ])
        try await Self.load(
            try restore.stream(record.tables), into: item.staged, server, "the tables of '\(record.name)'")
        if record.hasPrograms {
            try await Self.load(
                try restore.stream(record.programs), into: item.staged, server, "the programs of '\(record.name)'")
        }
        state.items[index].newTables = try await Catalog(server: server).tables(item.staged)
            .filter { !$0.isView }.map(\.name)
        state.items[index].stage = .staged
        try await state.save(journal)
    }

    static func load(_ stream: any StoredStream, into database: String, _ server: Server, _ object: String) async throws
    {
        try await server.load(into: database, about: object) { forward in try await stream.read(nil, forward) }
    }

    /// The bundle's accounts that the server lacks, and those that this restore has `made` already.
    static func missingAccounts(
        _ server: Server, _ restore: SourceRestore, made: [String] = []
    ) async throws -> [Accounts.Definition] {
        let stream = try restore.stream(ServerRecord.accounts)
        guard stream.receipt.length <= 256 << 20 else { throw Failure(.integrity, "the accounts are too large") }
        let collected = Mutex<[UInt8]>([])
        try await stream.read(nil) { bytes in collected.withLock { $0.append(contentsOf: bytes) } }
        let known = Set(try await Accounts(server: server).list().map(\.name)).subtracting(made)
        return try Accounts.definitions(String(decoding: collected.withLock { $0 }, as: UTF8.self))
            .filter { !known.contains($0.name) }
    }
}
