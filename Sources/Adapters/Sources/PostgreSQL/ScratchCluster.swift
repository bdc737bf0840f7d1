// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import DataFolders
import Domain
import Foundation
import Glibc

extension PostgreSQLAdapter: DrillingAdapter {
    /// A cluster of the folder's own, empty, on a Unix socket there; it ends with the body or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        let cluster = try ScratchCluster(
            folder: folder, major: ClusterRecord(restore.contents.restoreData).serverNumber / 10000,
            programs: settings.programs, transport: environment.transport)
        return try await cluster.run { settings in
            var settings = settings
            (settings.jobs, settings.counting) = (self.settings.jobs, self.settings.counting)
            let adapter = PostgreSQLAdapter(environment: environment, settings: settings)
            try await ScratchProgram.waitUntilAnswering {
                _ = try await Server.reach(adapter.environment, adapter.settings)
            }
            return try await body(adapter)
        }
    }

    func answer(_ sql: String, database: String?, in restore: SourceRestore) async throws -> String? {
        let restored = try ClusterRecord(restore.contents.restoreData).databases.map(\.name)
        let name = try ScratchQuestion.database(database, of: restored)
        let query = ScratchQuestion.inner(sql)
        let programs = try await Server.reach(environment, settings).programs
        // As an argument, and in the place of a table: what psql reads from its input may be its own commands, with a shell
        // among them, and what stands there cannot change anything.
        let program = programs.program(
            "psql", database: name, Psql.arguments + ["-c", Psql.asJSON("\n\(query)\n")])
        let (bytes, exit) = try await programs.transport.outputAndExit(of: program, input: [])
        guard exit.isSuccess else {
            throw Failure(.verifyFailed, "PostgreSQL says: \(exit.lastWords)")
        }
        let rows = try Psql.decode([String: JSONValue].self, bytes)
        guard rows.count == 1, let row = rows.first, row.count == 1, let value = row.values.first else {
            throw ScratchQuestion.isNotOneValue
        }
        return switch value {
        case .null: nil
        case .bool(let value): String(value)
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let value): value
        case .array, .object: "a JSON value"
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        ["PGHOST": settings.host ?? "", "PGPORT": String(settings.port ?? 5432), "PGUSER": settings.user ?? ""]
    }
}

/// An empty cluster in a folder, of the major version that a bundle came from.
struct ScratchCluster: Sendable {
    private static let superuser = "salvor_drill"
    private let folder: String
    private let binaries: String
    private let transport: any Transport
    /// PostgreSQL refuses to run as root.
    private let account: ScratchAccount

    /// - Throws: `Failure(.programMissing)` when this host has no server of that major.
    init(folder: String, major: Int, programs: String?, transport: any Transport) throws {
        self.folder = folder
        self.transport = transport
        let places = [programs, "/usr/lib/postgresql/\(major)/bin", "/usr/pgsql-\(major)/bin"].compactMap { $0 }
        guard let found = places.first(where: { access("\($0)/initdb", X_OK) == 0 }) else {
            throw Failure(
                .programMissing, "this host has no PostgreSQL \(major) server to drill with (\(places[0])/initdb)",
                hint: "Install the package postgresql-\(major), or hold the drill on a host that has it.")
        }
        binaries = found
        account = try ScratchAccount(["postgres", "nobody"], of: "PostgreSQL")
    }

    /// Runs the server while `body` works with settings that reach it.
    func run<Result: Sendable>(
        _ body: @escaping @Sendable (PostgreSQLSettings) async throws -> Result
    ) async throws -> Result {
        // Its socket is in the folder, and nobody else gets in there.
        try await Blocking.run { [account, folder] in try account.take(folder) }
        let make = program(
            "initdb",
            ["--pgdata=\(folder)/data", "--username=\(Self.superuser)", "--auth=trust"]
                + ["--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"])
        let (_, made) = try await transport.outputAndExit(of: make)
        // The program that changes the account is not the one to name.
        try made.requireSuccess(of: Program("\(binaries)/initdb", []))
        var options = ["-D", "\(folder)/data", "-k", folder]
        // It is thrown away: a crash costs a new drill, and nothing else.
        for setting in ["listen_addresses=", "fsync=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=4GB"]
        {
            options += ["-c", setting]
        }
        let server = program("postgres", options)
        let (result, exit) = try await transport.run(server) { pipes in
            try await Blocking.run { try pipes.closeInput() }
            let result = try await body(settings())
            let stop = program("pg_ctl", ["stop", "--pgdata=\(folder)/data", "--mode=fast", "--silent"])
            _ = try await transport.output(of: stop)
            return result
        }
        try exit.requireSuccess(of: Program("postgres", []))
        return result
    }

    private func settings() throws -> PostgreSQLSettings {
        var settings = try PostgreSQLSettings(
            .mapping([], ConfigMark(file: "drill", line: 1, column: 1)), path: "drill")
        settings.host = folder
        settings.port = 5432
        settings.user = Self.superuser
        settings.programs = binaries
        return settings
    }

    /// A server program, as the account it may run as.
    private func program(_ name: String, _ arguments: [String]) -> Program {
        account.program("\(binaries)/\(name)", arguments, endingWith: "QUIT", home: folder)
    }
}
