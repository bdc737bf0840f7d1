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
    var ownDatabases: Set<String> = []

    func plan() async throws -> SourceRestorePlan {
        let target = try await RestoreTarget.read(server)
        let origin = choice.cluster
        var plan = SourceRestorePlan(
            target: server.description,
            origin: "PostgreSQL \(origin.serverVersion)"
                + (origin.systemIdentifier.map { ", system \($0)" } ?? "") + ", bundle \(restore.bundle)")
        try await checkVersions(&plan)
        checkRights(&plan)
        try await checkNeeds(target, &plan)
        for (record, live) in choice.databases { try await describe(record, live, target, &plan) }
        checkSpace(&plan)
        return plan
    }

    // MARK: - Versions and rights

    private func checkVersions(_ plan: inout SourceRestorePlan) async throws {
        let origin = choice.cluster.serverNumber / 10000
        let major = server.identity.major
        if major < origin {
            plan.blockers.append(
                "the target is PostgreSQL \(server.identity.version), older than the bundle's PostgreSQL "
                    + choice.cluster.serverVersion)
        } else if major > origin {
            plan.warnings.append(
                "the target is PostgreSQL \(server.identity.version), newer than the bundle's PostgreSQL "
                    + choice.cluster.serverVersion)
        }
        for name in ["psql", "pg_restore"] {
            do {
                let version = try await server.programs.version(of: name)
                guard name == "pg_restore" else { continue }
                if let dump = PostgreSQLVersion(choice.cluster.dumpVersion), version.major < dump.major {
                    plan.blockers.append("pg_restore \(version) cannot read archives of pg_dump \(dump)")
                }
                if version.major >= 17, major < 17 {
                    plan.blockers.append(
                        "pg_restore \(version) cannot restore into PostgreSQL \(server.identity.version); "
                            + "name the folder of older client programs in 'programs'")
                }
            } catch let error as Failure where error.code == .programMissing {
                plan.blockers.append(error.summary)
            }
        }
        if let system = choice.cluster.systemIdentifier, let found = server.identity.systemIdentifier, system != found {
            plan.warnings.append("the target is not the server the bundle was taken from")
        } else if server.identity.systemIdentifier == nil || choice.cluster.systemIdentifier == nil {
            plan.warnings.append("whether the target is the server the bundle was taken from cannot be known")
        }
    }

    private func checkRights(_ plan: inout SourceRestorePlan) {
        if server.identity.isReplica { plan.blockers.append("the target is a replica and cannot be written") }
        if !server.identity.createsDatabases {
            plan.blockers.append("the role '\(server.identity.role)' may not create databases")
        } else if !server.identity.isSuperuser {
            plan.warnings.append(
                "the role '\(server.identity.role)' is no superuser: it must be a member of every owner, and event "
                    + "triggers and untrusted extensions cannot be restored")
        }
    }

    // MARK: - Roles, extensions, tablespaces

    private func checkNeeds(_ target: RestoreTarget, _ plan: inout SourceRestorePlan) async throws {
        let missing = choice.neededRoles.subtracting(target.roles).sorted()
        if choice.cluster.hasGlobals {
            let roles = try await Staging.missingRoles(restore, choice, existing: target.roles).roles
            if !roles.isEmpty {
                plan.steps.append(
                    .init(
                        "stage", "create the missing roles \(roles.sorted().joined(separator: ", "))",
                        command: server.programs.program(
                            "psql", database: server.home, Psql.arguments
                        ).commandLine))
                if !choice.cluster.hasRolePasswords {
                    plan.warnings.append("the bundle holds no passwords: the new roles cannot log in with one")
                }
            }
            for role in missing where !roles.contains(role) {
                plan.blockers.append("the role '\(role)' is missing, also in the bundle's globals")
            }
        } else {
            for role in missing { plan.blockers.append("the role '\(role)' is missing") }
        }
        for (record, _) in choice.databases {
            for needed in record.extensions {
                guard let version = target.extensions[needed.name] else {
                    plan.blockers.append(
                        "the extension '\(needed.name)' of database '\(record.name)' is not installed on the target")
                    continue
                }
                if version != needed.version {
                    plan.warnings.append(
                        "the extension '\(needed.name)' of database '\(record.name)' will be \(version), was "
                            + needed.version)
                }
                if needed.name == "timescaledb" {
                    plan.blockers.append("databases with timescaledb need its own restore procedure")
                }
            }
        }
        for name in choice.missingTablespaces(target.tablespaces) {
            plan.warnings.append("the tablespace '\(name)' is missing: its tables go to the default tablespace")
        }
    }

    // MARK: - One database

    private struct Size: Decodable, Sendable {
        var bytes: Int64?
        var prepared: Int
        var slots: Int
    }

    private func describe(
        _ record: DatabaseRecord, _ live: String, _ target: RestoreTarget, _ plan: inout SourceRestorePlan
    ) async throws {
        let staged = DatabaseNames.staged(live, restore.restoreID)
        let before = DatabaseNames.before(live, restore.restoreID)
        for name in [staged, before] where target.databases.named(name) != nil && !ownDatabases.contains(name) {
            plan.blockers.append("the target has a database '\(name)' already")
        }
        let stream = try restore.stream(record.stream)
        plan.bytesNeeded = (plan.bytesNeeded ?? 0) + stream.receipt.length
        plan.creates.append(staged)
        if record.subscriptions > 0 {
            plan.warnings.append("subscriptions of database '\(record.name)' come back disabled")
        }
        let runner = server.away(from: [live, staged, before])
        let psql = server.programs.program("psql", database: runner.home, Psql.arguments).commandLine
        plan.steps += [
            .init(
                "stage",
                "create database \(staged): "
                    + DatabaseStatements.create(
                        staged, like: record, major: server.identity.major, tablespaces: target.tablespaces),
                command: psql),
            .init(
                "stage", "restore \(record.name) into it (\(stream.receipt.length) bytes)",
                command: Staging.restoreProgram(
                    server, into: staged, withTablespaces: choice.missingTablespaces(target.tablespaces).isEmpty,
                    file: server.transport.reachesLocalFiles ? "\(restore.scratchDirectory)/\(record.stream).dump" : nil
                ).commandLine),
            .init("stage", "gather statistics: ANALYZE", command: psql),
            .init("verify", "count rows, sequences and objects of \(staged) and compare with the bundle"),
        ]
        guard let existing = target.databases.named(live) else {
            plan.steps.append(.init("promote", "rename \(staged) to \(live)", command: psql))
            return
        }
        plan.steps.append(
            .init(
                "promote",
                "end the sessions of \(live), then in one transaction rename \(live) to \(before) and \(staged) to \(live)",
                command: psql))
        let size = try await server.rows(
            Size.self,
            """
            SELECT CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                    THEN pg_database_size(d.oid) END AS bytes,
                (SELECT count(*) FROM pg_prepared_xacts p WHERE p.database = d.datname)::int AS prepared,
                (SELECT count(*) FROM pg_replication_slots s WHERE s.database = d.datname)::int AS slots
            FROM pg_database d WHERE d.oid = \(existing.oid)
            """
        ).first
        var about = ["\(size?.bytes.map { "\($0) bytes" } ?? "size unknown")"]
        if existing.allowsConnections { about.insert("\(try await tables(of: live)) tables", at: 0) }
        plan.replaces.append("database \(live) (\(about.joined(separator: ", ")))")
        if existing.sessions > 0 {
            plan.warnings.append("\(existing.sessions) sessions of database '\(live)' will be ended at promotion")
        }
        if let size, size.prepared > 0 {
            plan.blockers.append(
                "database '\(live)' has \(size.prepared) prepared transactions, which hinder its renaming")
        }
        if let size, size.slots > 0 {
            plan.warnings.append(
                "database '\(live)' has \(size.slots) logical replication slots, which stay with the old one")
        }
    }

    private struct Count: Decodable, Sendable {
        var count: Int
    }

    private func tables(of database: String) async throws -> Int {
        let query = """
            SELECT count(*)::int AS count FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND \(CatalogFacts.isOrdinary("c.relnamespace"))
            """
        return try await server.rows(Count.self, query, in: database).first?.count ?? 0
    }

    // MARK: - Space

    private func checkSpace(_ plan: inout SourceRestorePlan) {
        let largest = choice.databases.compactMap { entry in
            restore.streams.first { $0.name == entry.record.stream }?.receipt.length
        }.max()
        if server.transport.reachesLocalFiles, let largest, let free = Self.freeBytes(restore.scratchDirectory),
            free < largest
        {
            plan.blockers.append(
                "\(restore.scratchDirectory) has \(free) bytes free, the largest archive takes \(largest)")
        }
        // The server's disk can only be looked at when the server is on this host.
        let host = server.settings.host ?? "/"
        guard server.transport.reachesLocalFiles,
            host.hasPrefix("/") || ["localhost", "127.0.0.1", "::1"].contains(host),
            let folder = server.identity.dataDirectory, let free = Self.freeBytes(folder)
        else { return }
        plan.bytesFree = free
        let needed = choice.databases.reduce(0) { $0 + $1.record.bytes }
        if free < needed {
            plan.blockers.append("\(folder) has \(free) bytes free, the tables take at least \(needed)")
        } else if free < 2 * needed {
            plan.warnings.append("\(folder) has \(free) bytes free, the tables take \(needed) and their indexes more")
        }
    }

    /// Bytes that this user may still write in a folder, or where it will be made; nil when it cannot be known.
    private static func freeBytes(_ folder: String) -> UInt64? {
        var (path, status) = (folder, statvfs())
        while !path.isEmpty, statvfs(path, &status) != 0 {
            guard errno == ENOENT else { return nil }
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        }
        return path.isEmpty ? nil : UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}

extension RestoreChoice {
    /// Tablespaces that the chosen databases use and the target lacks.
    func missingTablespaces(_ existing: Set<String>) -> [String] {
        Set(databases.flatMap { $0.record.tablespaces + [$0.record.tablespace] }).subtracting(existing).sorted()
    }
}
