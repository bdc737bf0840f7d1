// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Which server answers, and what it is set to.
struct ServerIdentity: Sendable, Equatable {
    /// `10.11.19-MariaDB-0+deb12u1-log`, `8.0.40`.
    var version: String
    var hostName: String
    var port: Int
    var serverID: String
    var dataDirectory: String
    var hasBinaryLog: Bool
    var isReadOnly: Bool
    /// `lower_case_table_names`.
    var nameCase: String
    /// The account that the user came in as, such as `salvor@localhost`.
    var account: String

    var isMariaDB: Bool { version.contains("MariaDB") }
    var product: String { isMariaDB ? "MariaDB" : "MySQL" }
    /// `10.11.19`.
    var number: String { String(version.prefix { $0.isNumber || $0 == "." }) }
    var engine: String { "\(product) \(number)" }
    /// Series within which dumps go back and forth: `10.11`.
    var series: [Int] { Self.series(number) }

    static func series(_ number: String) -> [Int] { number.split(separator: ".").prefix(2).compactMap { Int($0) } }
}

/// A server and the programs to talk to it.
struct Server: Sendable {
    let tools: ClientTools
    let client: ClientProgram
    let identity: ServerIdentity

    var settings: MariaDBSettings { tools.settings }
    var transport: any Transport { tools.transport }

    /// For people.
    var description: String {
        "\(identity.engine) at \(identity.hostName):\(identity.port), server id \(identity.serverID)"
    }

    static func connect(_ tools: ClientTools) async throws -> Server {
        let client = try await tools.find(["mariadb", "mysql"])
        let query = """
            SELECT VERSION(), @@hostname, @@port, @@server_id, @@datadir, @@log_bin, @@read_only,
                @@lower_case_table_names, CURRENT_USER()
            """
        let rows = try await Self.rows(query, tools, client, lockTimeout: tools.settings.lockTimeout)
        guard let row = rows.first, row.count == 9 else {
            throw Failure(.sourceFailed, "the server does not tell its version")
        }
        return Server(
            tools: tools, client: client,
            identity: ServerIdentity(
                version: row[0], hostName: row[1], port: Int(row[2]) ?? 0, serverID: row[3], dataDirectory: row[4],
                hasBinaryLog: row[5] != "0", isReadOnly: row[6] != "0" && row[6] != "OFF", nameCase: row[7],
                account: row[8]))
    }

    /// The dump program of the server's own product, when it is there.
    func dumpProgram() async throws -> ClientProgram {
        try await tools.find(
            identity.isMariaDB ? ["mariadb-dump", "mysqldump"] : ["mysqldump", "mariadb-dump"])
    }

    /// The rows of a query.
    func rows(_ query: String) async throws -> [[String]] {
        try await Self.rows(query, tools, client, lockTimeout: settings.lockTimeout)
    }

    /// Runs statements one after the other; the first that fails ends it.
    func execute(_ statements: [String]) async throws {
        guard !statements.isEmpty else { return }
        _ = try await rows(statements.joined(separator: ";\n"))
    }

    private static func rows(
        _ script: String, _ tools: ClientTools, _ client: ClientProgram, lockTimeout: Int
    ) async throws -> [[String]] {
        let program = tools.program(client, ["--batch", "--skip-column-names"])
        // What is written here is read with an empty mode, whatever the server's is, and waits for nobody for ever.
        let prelude = "SET SESSION sql_mode = '', lock_wait_timeout = \(lockTimeout), foreign_key_checks = 0;\n"
        let (bytes, exit) = try await tools.transport.outputAndExit(
            of: program, input: Array((prelude + script + ";\n").utf8))
        guard exit.isSuccess else { throw tools.failure(exit, of: program, about: "a query") }
        return SQLText.rows(bytes)
    }

    /// Feeds SQL into the client, as `mariadb DATABASE < FILE` does.
    ///
    /// - Parameter feed: calls its argument with the text, piece by piece, on a thread that may block.
    func load(
        into database: String, about object: String,
        _ feed: @escaping @Sendable (@escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) async throws -> Void
    ) async throws {
        // In binary mode no text within the dump is taken for a command of the client; and without the second flag the
        // client would take the comments out of routines' bodies.
        let program = tools.program(
            client, ["--batch", "--binary-mode", "--comments", "--max-allowed-packet=1G", database])
        let (stopped, exit) = try await transport.run(program) { pipes -> Failure? in
            // Not a child task: when reading the bundle fails, nobody may wait for a client that waits for its input.
            let drained = Task { try await Blocking.run { try pipes.forEachChunk { _ in } } }
            var stopped: Failure?
            let filter = SandboxLineFilter { try pipes.write($0) }
            do {
                try await feed { try filter.take($0) }
                try await Blocking.run { try filter.finish() }
            } catch let error as Failure where error.code == .programFailed {
                // The client says itself why it stopped reading.
                stopped = error
            }
            try await Blocking.run { try pipes.closeInput() }
            _ = try await drained.value
            return stopped
        }
        guard exit.isSuccess else {
            let failure = tools.failure(exit, of: program, about: object)
            throw failure.code == .sourceFailed || failure.code == .sourceChanged
                ? Failure(.restoreFailed, failure.summary, hint: failure.hint) : failure
        }
        if let stopped { throw stopped }
    }
}
