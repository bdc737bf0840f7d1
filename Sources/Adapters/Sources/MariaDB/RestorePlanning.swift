// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

/// Computes what a restore would do to a server. Only reads.
struct RestorePlanning: Sendable {
    let server: Server
    let restore: SourceRestore
    let choice: RestoreChoice
    /// Databases that an earlier attempt of the same restore made; they are no obstacle.
    var own: Set<String> = []

    func plan() async throws -> SourceRestorePlan {
        let origin = choice.server
        var plan = SourceRestorePlan(
            target: server.description,
            origin: "\(origin.product) \(origin.version) at \(origin.hostName), server id \(origin.serverID), "
                + "bundle \(restore.bundle)")
        checkVersions(&plan)
        try await checkRights(&plan)
        let catalog = Catalog(server: server)
        let present = Set(try await catalog.databases().map(\.name))
        for (record, live) in choice.databases { try await describe(record, live, present, catalog, &plan) }
        try await describeAccounts(&plan)
        checkSpace(&plan)
        return plan
    }

    // MARK: - Server

    private func checkVersions(_ plan: inout SourceRestorePlan) {
        let (origin, target) = (choice.server, server.identity)
        if origin.product != target.product {
            plan.blockers.append(
                "the bundle is of \(origin.product) \(origin.version) and the target is \(target.engine): their dumps differ"
            )
        }
        let (from, to) = (ServerIdentity.series(origin.version), target.series)
        if to.lexicographicallyPrecedes(from) {
            plan.blockers.append("the target is \(target.engine), older than the bundle's \(origin.version)")
        } else if from != to {
            plan.warnings.append(
                "the target is \(target.engine), newer than the bundle's \(origin.version): definitions are not compared"
            )
        }
        if origin.nameCase != target.nameCase {
            plan.blockers.append(
                "'lower_case_table_names' is \(target.nameCase) on the target and was \(origin.nameCase)")
        }
        if origin.hostName != target.hostName || origin.serverID != target.serverID {
            plan.warnings.append("the target is not the server the bundle was taken from")
        }
        if target.isReadOnly { plan.blockers.append("the target is read-only ('read_only')") }
    }

    private func checkRights(_ plan: inout SourceRestorePlan) async throws {
        let rights = try await Rights.read(server)
        let missing = rights.missingForRestore
        if !missing.isEmpty {
            plan.blockers.append("\(server.identity.account) lacks \(missing.joined(separator: ", ")) on all databases")
        }
        if !rights.setsDefiners {
            plan.warnings.append(
                "\(server.identity.account) may not make programs for other accounts (SET USER or SUPER): views, routines, "
                    + "triggers and events of others cannot be restored")
        }
        let isReplica = try? await server.rows("SHOW SLAVE STATUS").isEmpty == false  // needs a right of its own
        if isReplica == true {
            plan.warnings.append("the target is a replica: what is restored there is missing on its primary")
        }
    }

    // MARK: - One database

    private func describe(
        _ record: DatabaseRecord, _ live: String, _ present: Set<String>, _ catalog: Catalog,
        _ plan: inout SourceRestorePlan
    ) async throws {
        let staged = SchemaNames.staged(live, restore.restoreID)
        let before = SchemaNames.before(live, restore.restoreID)
        for name in [staged, before] where present.contains(name) && !own.contains(name) {
            plan.blockers.append("the target has a database '\(name)' already")
        }
        let stream = try restore.stream(record.tables)
        plan.bytesNeeded = (plan.bytesNeeded ?? 0) + stream.receipt.length
        plan.creates.append(staged)
        let client = server.tools.program(server.client, ["--batch", "--binary-mode", staged])
        plan.steps += [
            .init("stage", "create database \(staged)", command: Self.create(staged, record)),
            .init(
                "stage", "load the tables of \(record.name) (\(stream.receipt.length) bytes)",
                command: client.commandLine),
        ]
        if record.hasPrograms {
            plan.steps.append(.init("stage", "try its routines, views and triggers there", command: client.commandLine))
        }
        plan.steps.append(
            .init("verify", "dump \(staged) again, count and digest its rows, and compare with what was captured"))
        guard present.contains(live) else {
            plan.steps.append(.init("promote", "create database \(live) and rename the tables of \(staged) into it"))
            try describePrograms(record, live, &plan)
            return
        }
        let tables = try await catalog.tables(live)
        plan.creates.append(before)
        plan.replaces.append(
            "database \(live) (\(tables.filter { !$0.isView }.count) tables, \(try await catalog.bytes(live)) bytes)")
        plan.steps += [
            .init("promote", "keep the definitions of \(live)'s views, routines, triggers and events, and drop them"),
            .init(
                "promote", "move the tables of \(live) to \(before) and those of \(staged) to \(live)",
                command: "RENAME TABLE … (one statement)"),
        ]
        try describePrograms(record, live, &plan)
        plan.warnings.append(
            "until the tables of '\(live)' are exchanged and its programs made again, its views and triggers are missing: "
                + "stop the application for that moment")
        for name in try await foreign(live) {
            plan.blockers.append("the table \(name) of another database refers to a table of '\(live)'")
        }
        let sessions = try await server.rows(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = \(SQLText.literal(live))")
        if let count = sessions.first?.first, count != "0" {
            plan.warnings.append(
                "\(count) sessions use '\(live)': one with an open transaction there holds up the promotion")
        }
    }

    private func describePrograms(_ record: DatabaseRecord, _ live: String, _ plan: inout SourceRestorePlan) throws {
        if record.hasPrograms {
            _ = try restore.stream(record.programs)
            plan.steps.append(.init("promote", "make the bundle's routines, views and triggers in \(live)"))
        }
        if !record.events.isEmpty {
            _ = try restore.stream(record.scheduled)
            plan.steps.append(.init("promote", "make the bundle's \(record.events.count) events in \(live)"))
        }
        if live != record.name, record.hasPrograms {
            plan.warnings.append(
                "programs that name the database '\(record.name)' in their text go on using it, not '\(live)'")
        }
    }

    /// Tables of other databases whose foreign keys point into `database`: they would follow the old tables.
    private func foreign(_ database: String) async throws -> [String] {
        try await server.rows(
            """
            SELECT DISTINCT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.KEY_COLUMN_USAGE
            WHERE REFERENCED_TABLE_SCHEMA = \(SQLText.literal(database))
                AND TABLE_SCHEMA <> \(SQLText.literal(database))
            """
        ).compactMap(\.first)
    }

    static func create(_ database: String, _ record: DatabaseRecord) -> String {
        "CREATE DATABASE \(SQLText.name(database)) CHARACTER SET \(record.characterSet) COLLATE \(record.collation)"
    }

    // MARK: - Accounts and space

    private func describeAccounts(_ plan: inout SourceRestorePlan) async throws {
        guard choice.isWhole, choice.server.hasAccounts, server.settings.restoresAccounts else { return }
        let missing = try await Staging.missingAccounts(server, restore)
        guard !missing.isEmpty else { return }
        plan.steps.append(
            .init(
                "promote",
                "create the missing accounts \(missing.map(\.name).joined(separator: ", ")) with their grants"))
    }

    private func checkSpace(_ plan: inout SourceRestorePlan) {
        // The server's disk can only be looked at when the server is on this host.
        let host = server.settings.host ?? "localhost"
        guard server.transport.reachesLocalFiles, ["localhost", "127.0.0.1", "::1"].contains(host) else { return }
        var status = statvfs()
        guard statvfs(server.identity.dataDirectory, &status) == 0 else { return }
        let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
        plan.bytesFree = free
        let needed = choice.databases.reduce(0) { $0 + UInt64(max(0, $1.record.bytes)) }
        if free < needed {
            plan.blockers.append(
                "\(server.identity.dataDirectory) has \(free) bytes free, the tables take about \(needed)")
        }
    }
}
