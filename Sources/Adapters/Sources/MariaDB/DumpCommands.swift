// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// How the dump program is called.
struct DumpCommands: Sendable {
    let server: Server
    let dump: ClientProgram

    /// Flags of every dump: nothing in it tells the time of day, and rows come in the order of their key, so that a night
    /// without changes gives the same bytes.
    private var common: [String] {
        var words = [
            "--skip-dump-date", "--hex-blob", "--quick", "--no-tablespaces", "--max-allowed-packet=1G",
            "--skip-add-drop-table",
        ]
        // Asked of the server by MySQL's program only, and unknown to MariaDB's servers.
        if !dump.isMariaDB { words += ["--set-gtid-purged=OFF", "--column-statistics=0"] }
        return words
    }

    /// The tables of a database with their rows, at one moment.
    func tables(_ database: String, leavingOut views: [String], withPosition: Bool) -> Program {
        var words = common + ["--order-by-primary", "--skip-triggers"]
        switch server.settings.nonTransactional {
        case .report: words += ["--single-transaction", "--skip-lock-tables"]
        case .lock: words += ["--lock-tables"]
        }
        if withPosition {
            let isNew =
                !dump.isMariaDB && ServerIdentity.series(dump.version).lexicographicallyPrecedes([8, 1]) == false
            words.append(isNew ? "--source-data=2" : "--master-data=2")
        }
        words += views.map { "--ignore-table=\(database).\($0)" }
        return server.tools.program(dump, words + [database])
    }

    /// The text of all routines, views and triggers, in the order in which they can be made: what a view calls before the
    /// views, and triggers last.
    func programs(_ database: String, views: [String]) async throws -> [UInt8] {
        var text = try await text(
            common + ["--no-create-info", "--no-data", "--no-create-db", "--skip-triggers", "--routines", database],
            about: "the routines of '\(database)'")
        if !views.isEmpty {
            text += try await self.text(
                common.filter { $0 != "--skip-add-drop-table" } + ["--no-data", "--skip-triggers", database] + views,
                about: "the views of '\(database)'")
        }
        return text
            + (try await self.text(
                common + ["--no-create-info", "--no-data", "--no-create-db", "--triggers", database],
                about: "the triggers of '\(database)'"))
    }

    /// The text of all events.
    func events(_ database: String) async throws -> [UInt8] {
        try await text(
            common + ["--no-create-info", "--no-data", "--no-create-db", "--skip-triggers", "--events", database],
            about: "the events of '\(database)'")
    }

    private func text(_ words: [String], about object: String) async throws -> [UInt8] {
        let program = server.tools.program(dump, ["--single-transaction", "--skip-lock-tables"] + words)
        let (bytes, exit) = try await server.transport.outputAndExit(of: program, limit: 256 << 20)
        guard exit.isSuccess else { throw server.tools.failure(exit, of: program, about: object) }
        let stream = DumpStream(nil, counts: false)
        try bytes.withUnsafeBytes { try stream.take($0) }
        _ = try stream.finish(about: object)
        return SandboxLineFilter.without(bytes)
    }

    /// Runs a dump of tables through `stream`.
    func run(_ program: Program, _ stream: DumpStream, about object: String) async throws -> (
        end: StreamEnd, scanner: DumpScanner, position: String?
    ) {
        let (_, exit) = try await server.transport.stream(program) { try stream.take($0) }
        guard exit.isSuccess else { throw server.tools.failure(exit, of: program, about: object) }
        return try stream.finish(about: object)
    }
}
