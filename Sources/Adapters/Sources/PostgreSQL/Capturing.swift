// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// One capture of a server: the globals, then every database under a snapshot of its own.
struct Capturing: Sendable {
    let server: Server
    let dumpVersion: PostgreSQLVersion

    /// Refuses client programs whose archives could not be trusted or not be restored.
    ///
    /// - Throws: `Failure(.versionRefused)` or `.programMissing`.
    init(server: Server) async throws {
        self.server = server
        dumpVersion = try await server.programs.version(of: "pg_dump")
        if let problem = Self.versionProblem(dump: dumpVersion, server: server.identity) { throw problem }
    }

    /// Why a pg_dump must not be used for a server; nil when it may.
    static func versionProblem(dump: PostgreSQLVersion, server: ServerIdentity) -> Failure? {
        let hint = "Install PostgreSQL \(server.major)'s client programs, or name their folder in 'programs'."
        if dump.major < server.major {
            return Failure(
                .versionRefused, "pg_dump \(dump) is older than the server's PostgreSQL \(server.version)", hint: hint)
        }
        // From 17 on pg_restore sets transaction_timeout, which older servers refuse, and older ones cannot read its
        // archives: the backup could not go back to where it came from.
        if dump.major >= 17, server.major < 17 {
            return Failure(
                .versionRefused,
                "archives of pg_dump \(dump) cannot be restored into the server's PostgreSQL \(server.version)",
                hint: hint)
        }
        return nil
    }

    /// Which databases are captured, and what is said of the others.
    struct Selected: Sendable {
        var names: [String]
        var notices: [String]
    }

    func select() async throws -> Selected {
        let selection = DatabaseSelection(server: server)
        let candidates = try await selection.candidates()
        return Selected(
            names: try selection.names(among: candidates), notices: selection.leftOut(among: candidates))
    }

    /// Captures every database at a moment of its own.
    func run(into sink: any CaptureSink) async throws -> CaptureReport {
        try await run(try await select(), into: sink) { name in
            try await DatabaseCapture(server: server, sink: sink, database: name).run()
        }
    }

    /// The globals, then the databases by `capture`, as many side by side as the plan says.
    func run(
        _ selection: Selected, into sink: any CaptureSink,
        _ capture: @escaping @Sendable (String) async throws -> DatabaseCapture.Result
    ) async throws -> CaptureReport {
        let names = selection.names
        if server.settings.capturesGlobals { try await captureGlobals(into: sink) }
        let captures = try await withThrowingTaskGroup(of: DatabaseCapture.Result.self) { group in
            var remaining = names[...]
            var results: [DatabaseCapture.Result] = []
            while let name = remaining.popFirst() {
                if names.count - remaining.count > server.settings.jobs, let result = try await group.next() {
                    results.append(result)
                }
                group.addTask { try await capture(name) }
            }
            for try await result in group { results.append(result) }
            return results.sorted { $0.record.name < $1.record.name }
        }
        var facts = Facts()
        for capture in captures { facts.values.merge(capture.facts.values) { _, new in new } }
        let record = ClusterRecord(
            serverNumber: server.identity.number, serverVersion: server.identity.version.description,
            dumpVersion: dumpVersion.description, systemIdentifier: server.identity.systemIdentifier,
            hasGlobals: server.settings.capturesGlobals,
            hasRolePasswords: server.settings.capturesGlobals && server.settings.capturesRolePasswords,
            databases: captures.map(\.record))
        return CaptureReport(
            engine: "PostgreSQL \(server.identity.version)", facts: facts, restoreData: try record.json,
            notices: selection.notices + captures.flatMap(\.notices),
            position: server.identity.position)
    }

    // MARK: - Globals

    private func captureGlobals(into sink: any CaptureSink) async throws {
        let settings = server.settings
        var arguments = ["--database=\(server.home)", "--globals-only"]
        if !settings.capturesRolePasswords { arguments.append("--no-role-passwords") }
        let program = server.programs.program("pg_dumpall", database: nil, arguments)
        _ = try await sink.raw("globals", fileName: "globals.sql", estimatedBytes: nil) { sink in
            let (bytes, exit) = try await server.transport.outputAndExit(of: program)
            try DumpFailure.check(exit, of: program, programs: server.programs, about: "the globals")
            let text = try GlobalsText.normalized(bytes)
            try await Blocking.run { try sink.write(text) }
            return StreamEnd(length: UInt64(text.count))
        }
    }
}
