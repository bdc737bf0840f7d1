// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// A psql that stays connected: one repeatable-read transaction, whose snapshot pg_dump imports while rows are counted in
/// it. Exists only inside `run`.
final class SnapshotSession: Sendable {
    private let pipes: any ProgramPipes
    private let buffered = Mutex<[UInt8]>([])

    private init(pipes: any ProgramPipes) {
        self.pipes = pipes
    }

    /// The session ended by itself; its standard error says why.
    struct Ended: Error {}

    /// Connects to `database`, opens the transaction and gives the session to `body`. Ending rolls back; nothing was
    /// written.
    static func run<Result: Sendable>(
        _ server: Server, database: String, _ body: @escaping @Sendable (SnapshotSession) async throws -> Result
    ) async throws -> Result {
        let program = server.programs.program("psql", database: database, Psql.arguments)
        let (result, exit) = try await server.transport.run(program) { pipes -> Result? in
            let session = SnapshotSession(pipes: pipes)
            do {
                try await session.execute(opening(server.settings))
                let result = try await body(session)
                try await session.execute("ROLLBACK")
                try pipes.closeInput()
                return result
            } catch is Ended {
                return nil
            }
        }
        guard let result else { throw Psql.failure(exit, programs: server.programs, database: database) }
        return result
    }

    /// The snapshot's id, for `pg_dump --snapshot`.
    func exportSnapshot() async throws -> String {
        guard let name = try await rows(Named.self, "SELECT pg_export_snapshot() AS name").first?.name else {
            throw Failure(.sourceFailed, "the server exports no snapshot")
        }
        return name
    }

    /// Decodes the rows of a query, by column name in snake case.
    func rows<Row: Decodable & Sendable>(_ type: Row.Type, _ query: String) async throws -> [Row] {
        try Psql.decode(type, try await ask(Psql.asJSON(query)))
    }

    /// Runs a statement for its effect.
    func execute(_ statement: String) async throws {
        _ = try await ask(statement + ";")
    }

    private static func opening(_ settings: PostgreSQLSettings) -> String {
        // Time-outs of the role or the database must not end the transaction under a long dump; row_security off makes
        // a hidden row an error instead of a wrong count.
        Psql.patience + """
            SET idle_in_transaction_session_timeout = 0;
            SET lock_timeout = \(SQLText.literal(settings.lockTimeout)); SET row_security = off; SET search_path = pg_catalog;
            SELECT set_config(name, '0', false) IS NULL FROM pg_settings WHERE name IN ('transaction_timeout', \
            'idle_session_timeout');
            BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
            """
    }

    /// Sends a script and reads the last line printed before the marker.
    private func ask(_ script: String) async throws -> [UInt8] {
        try await Blocking.run { [self] in
            let marker = "salvor-end-\(UInt64.random(in: .min ... .max))"
            do {
                try Array("\(script)\n\\echo \(marker)\n".utf8).withUnsafeBytes { try pipes.write($0) }
            } catch let error as Failure where error.code == .programFailed {
                throw Ended()
            }
            var last: [UInt8] = []
            while let line = try nextLine() {
                if line.elementsEqual(marker.utf8) { return last }
                last = line
            }
            throw Ended()
        }
    }

    private func nextLine() throws -> [UInt8]? {
        var searched = 0
        while true {
            let (line, seen): ([UInt8]?, Int) = buffered.withLock { bytes in
                guard let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) else { return (nil, bytes.count) }
                let line = Array(bytes[..<end])
                bytes.removeFirst(end + 1)
                return (line, 0)
            }
            if let line { return line }
            searched = seen
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = try chunk.withUnsafeMutableBytes { try pipes.read(into: $0) }
            if count == 0 { return nil }
            buffered.withLock { $0.append(contentsOf: chunk[..<count]) }
        }
    }
}
