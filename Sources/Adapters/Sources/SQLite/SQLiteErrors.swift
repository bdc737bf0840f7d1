// SPDX-License-Identifier: Apache-2.0
import Domain
import GRDB
import Glibc

extension Failure {
    /// What SQLite says of the database at `path`.
    static func sqlite(_ error: DatabaseError, _ path: String) -> Failure {
        let words = error.message ?? "SQLite error \(error.resultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return Failure(
                .sourceFailed, "'\(path)' stayed locked",
                hint: "Something holds it exclusively: raise 'busy-timeout', or stop that program.")
        case .SQLITE_CORRUPT:
            return Failure(.sourceFailed, "the database '\(path)' is damaged: \(words)", hint: SQLiteInspection.hint)
        case .SQLITE_NOTADB:
            return Failure(
                .sourceFailed, "'\(path)' is not a SQLite database, or it is encrypted", hint: "Check 'path'.")
        case .SQLITE_FULL: return Failure(.localSpace, "no room left beside '\(path)'")
        case .SQLITE_PERM, .SQLITE_AUTH: return Failure(.sourceDenied, "'\(path)' may not be read: \(words)")
        case .SQLITE_CANTOPEN, .SQLITE_READONLY:
            return Failure(
                .sourceFailed, "unable to open '\(path)': \(words)",
                hint: "The user needs to read it and, for a database in WAL mode, to write its folder.")
        default: return Failure(.sourceFailed, "'\(path)': \(words)")
        }
    }

    /// What the system says of a call about `path`.
    static func system(_ verb: String, _ path: String, _ number: Int32) -> Failure {
        let code: Failure.Code = number == ENOSPC || number == EDQUOT ? .localSpace : .localInput
        return Failure(code, "unable to \(verb) '\(path)': \(String(cString: strerror(number)))")
    }
}

/// Runs `body` with SQLite's errors turned into failures about `path`.
func saying<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as DatabaseError { throw Failure.sqlite(error, path) }
}
