// SPDX-License-Identifier: Apache-2.0
import Domain

/// Makes failures of pg_dump, pg_dumpall and pg_restore say what to do.
enum DumpFailure {
    /// Throws unless `exit` is a success.
    static func check(_ exit: ProgramExit, of program: Program, programs: ClientPrograms, about object: String) throws {
        guard !exit.isSuccess else { return }
        let name = program.name.split(separator: "/").last.map(String.init) ?? program.name
        let words = programs.redacting(exit.lastWords)
        let summary = "\(name) of \(object) failed (\(exit.status))" + (words.isEmpty ? "" : ": \(words)")
        throw Failure(code(exit.standardError), summary, hint: hint(exit.standardError, programs.settings))
    }

    private static func code(_ text: String) -> Failure.Code {
        if text.contains("server version mismatch") { return .versionRefused }
        if text.contains("permission denied") || text.contains("row-level security policy")
            || text.contains("password authentication failed")
        {
            return .sourceDenied
        }
        return .sourceFailed
    }

    private static func hint(_ text: String, _ settings: PostgreSQLSettings) -> String? {
        let role = SQLText.identifier(settings.user ?? "the role")
        if text.contains("server version mismatch") {
            return "Install the client programs of the server's major, or name their folder in 'programs'."
        }
        if text.contains("row-level security policy") {
            return "As a superuser: ALTER ROLE \(role) BYPASSRLS."
        }
        if text.contains("pg_authid") {
            return "As a superuser: GRANT pg_read_all_data TO \(role); or set 'role-passwords: false'."
        }
        if text.contains("permission denied for large object") {
            return "As a superuser: ALTER ROLE \(role) SET lo_compat_privileges = on."
        }
        if text.contains("permission denied") { return "As a superuser: GRANT pg_read_all_data TO \(role)." }
        if text.contains("lock timeout") {
            return "Another session holds a lock on a table; look at pg_locks, or raise 'lock-timeout'."
        }
        return nil
    }
}
