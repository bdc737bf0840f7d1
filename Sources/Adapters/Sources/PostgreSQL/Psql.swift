// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// One-off SQL through psql: the script on standard input, the answer as one JSON value on standard output.
struct Psql: Sendable {
    let programs: ClientPrograms

    /// Arguments that make psql quiet, plain and strict. `-X`: an operator's psqlrc must not change what is read.
    static let arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]

    /// Decodes the rows of a query, by column name in snake case.
    func rows<Row: Decodable & Sendable>(_ type: Row.Type, _ query: String, _ database: String) async throws -> [Row] {
        try Self.decode(type, try await text(prelude + Self.asJSON(query), database))
    }

    /// Puts aside what roles and databases may have set: time-outs, and a search path on which somebody's function stands
    /// before PostgreSQL's own. A question waits for a lock no longer than a dump does.
    private var prelude: String {
        "SET search_path = pg_catalog;\n" + Self.patience
            + "SET lock_timeout = \(SQLText.literal(programs.settings.lockTimeout));\n"
    }

    /// No time-out, but not for ever either: a server that runs a long statement or waits for a lock looks every few
    /// seconds whether somebody still listens (from 14, where the system can tell), so that no transaction stays open
    /// behind a salvor that was killed.
    static let patience = """
        SET statement_timeout = 0;
        SELECT pg_catalog.set_config(name, '2s', false) FROM pg_catalog.pg_settings
        WHERE name = 'client_connection_check_interval' AND pg_catalog.version() ~ 'linux' \\g /dev/null

        """

    /// Runs `script` and gives what it prints.
    func text(_ script: String, _ database: String) async throws -> [UInt8] {
        let program = programs.program("psql", database: database, Self.arguments)
        let (bytes, exit) = try await programs.transport.outputAndExit(of: program, input: Array((script + "\n").utf8))
        guard exit.isSuccess else { throw Self.failure(exit, programs: programs, database: database) }
        return bytes
    }

    /// `query` as one JSON array on one line, whatever characters the values hold.
    static func asJSON(_ query: String) -> String {
        "SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q)), '[]'::jsonb)::text FROM (\(query)) q;"
    }

    /// Decodes what `asJSON` printed.
    static func decode<Row: Decodable>(_ type: Row.Type, _ bytes: [UInt8]) throws -> [Row] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            // Names in databases of encoding SQL_ASCII may not be UTF-8; a replacement character is better than no answer.
            return try decoder.decode([Row].self, from: Data(String(decoding: bytes, as: UTF8.self).utf8))
        } catch {
            throw Failure(.sourceFailed, "psql printed something else than the expected rows (\(error))")
        }
    }

    /// Sorts psql's end into codes by its words, which `LC_ALL=C` keeps in English for the client's part.
    static func failure(_ exit: ProgramExit, programs: ClientPrograms, database: String) -> Failure {
        let words = programs.redacting(exit.lastWords)
        let summary = "psql on database '\(database)' failed (\(exit.status)): \(words)"
        let text = exit.standardError
        let user = programs.settings.user.map { "'\($0)'" } ?? "the role"
        if ["password authentication failed", "no password supplied", "fe_sendauth"].contains(where: text.contains) {
            return Failure(
                .sourceDenied, summary,
                hint: "Check the password of \(user) in the plan's 'connection.password'.")
        }
        if text.contains("no pg_hba.conf entry") || text.contains("authentication failed") {
            return Failure(.sourceDenied, summary, hint: "Let \(user) in from here in the server's pg_hba.conf.")
        }
        if text.contains("valid client certificate") {
            return Failure(
                .sourceDenied, summary,
                hint: "Name a certificate that the server's authority signed with 'sslcert' and 'sslkey'.")
        }
        if text.contains("certificate verify failed") || text.contains("server certificate for") {
            return Failure(
                .sourceDenied, summary,
                hint: "Is this the server you mean? Then name its authority with 'sslrootcert', and 'host' as its "
                    + "certificate does.")
        }
        if text.contains("permission denied") || text.contains("must be ") || text.contains("row-level security") {
            return Failure(
                .sourceDenied, summary, hint: "Run 'salvor doctor' for the GRANT statements that are missing.")
        }
        if text.contains("lock timeout") {
            return Failure(
                .sourceFailed, summary,
                hint: "Another session holds a lock; look at pg_locks, or raise 'lock-timeout'.")
        }
        if exit.status == .exited(2) {
            return Failure(
                .sourceUnreachable, summary, hint: "Check that the server runs, and the plan's 'connection'.")
        }
        return Failure(.sourceFailed, summary)
    }
}
