// SPDX-License-Identifier: Apache-2.0
import DataFolders
import Domain
import Foundation

extension MariaDBAdapter: DrillingAdapter {
    /// A server of the folder's own, empty, on a Unix socket there; it ends with the body or with salvor.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        let scratch = try ScratchMariaDB(
            folder: folder, origin: ServerRecord(restore.contents.restoreData), programs: settings.programs,
            transport: environment.transport)
        let adapter = MariaDBAdapter(settings: scratch.settings(like: settings), environment: environment)
        return try await scratch.run {
            try await ScratchProgram.waitUntilAnswering { _ = try await adapter.server() }
            return try await body(adapter)
        }
    }

    func answer(_ sql: String, database: String?, in restore: SourceRestore) async throws -> String? {
        let name = try ScratchQuestion.database(database, of: RestoreChoice(restore).databases.map(\.live))
        let server = try await server()
        let program = server.tools.program(server.client, ["--batch", "--skip-column-names", name])
        let script = Self.question(ScratchQuestion.inner(sql))
        let (bytes, exit) = try await server.transport.outputAndExit(of: program, input: Array(script.utf8))
        guard exit.isSuccess else { throw Self.refusal(exit) }
        let rows = SQLText.rows(bytes)
        guard rows.count == 1, let row = rows.first, row.count == 2 else { throw ScratchQuestion.isNotOneValue }
        return row[0] == "1" ? nil : row[1]
    }

    /// The query in the place of a table and in a transaction that can only read, as one prepared statement: whatever else it
    /// holds is no SQL. In hexadecimal, because the client looks for its own commands in text, a shell among them.
    private static func question(_ query: String) -> String {
        let whole = "WITH salvor(answer) AS (\n\(query)\n) SELECT answer IS NULL, answer FROM salvor LIMIT 2"
        let hex = whole.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return """
            SET SESSION TRANSACTION READ ONLY;
            SET @question = CONVERT(0x\(hex) USING utf8mb4);
            START TRANSACTION READ ONLY;
            PREPARE question FROM @question;
            EXECUTE question;

            """
    }

    private static func refusal(_ exit: ProgramExit) -> Failure {
        // Another number of columns than the one that was asked for (https://mariadb.com/kb/en/mariadb-error-codes/).
        if exit.standardError.contains("ERROR 4002") { return ScratchQuestion.isNotOneValue }
        let lines = exit.standardError.split(whereSeparator: \.isNewline)
        let words = lines.last { $0.hasPrefix("ERROR ") }.map { String($0.dropFirst("ERROR ".count)) }
        return Failure(.verifyFailed, "MariaDB says: \(words ?? exit.lastWords)")
    }

    func places(of restore: SourceRestore) -> [String: String] {
        guard let socket = settings.socket else { return [:] }
        let folder = FolderExchange.parent(of: socket)
        return [
            "SALVOR_DRILL_SOCKET": socket, "SALVOR_DRILL_DEFAULTS_FILE": "\(folder)/\(ScratchMariaDB.options)",
            // A socket in the host's own option file goes before the variable, and would lead to the live server; what is in
            // this folder's file goes before both.
            "MYSQL_UNIX_PORT": socket, "MYSQL_HOME": folder, "MARIADB_HOME": folder,
        ]
    }
}
