// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import GRDB

/// What is counted in a database, and whether it is sound. Done on a copy only, at capture and again after staging.
struct SQLiteInspection: Sendable {
    static let hint = "Restore an earlier bundle, or salvage what is left with the sqlite3 program's '.recover'."

    var facts = Facts()
    var notices: [String] = []

    /// Checks and counts everything in the database at `path`. Blocks.
    ///
    /// - Parameter original: the path for messages.
    /// - Throws: `Failure(.sourceFailed)` when the database is damaged.
    init(_ path: String, of original: String, _ flag: CancellationFlag) throws {
        let queue = try saying(original) { try DatabaseQueue(path: path) }
        self = try saying(original) {
            defer { try? queue.close() }  // nothing was written
            return try queue.writeWithoutTransaction { database in
                var inspection = SQLiteInspection()
                try inspection.checkPages(database, original, flag)
                try inspection.checkIndexes(database, original, flag)
                try inspection.count(database, flag)
                return inspection
            }
        }
    }

    private init() {}

    private mutating func checkPages(_ database: Database, _ original: String, _ flag: CancellationFlag) throws {
        let lines = try String.fetchAll(database, sql: "PRAGMA integrity_check(20)")
        guard lines == ["ok"] else {
            let words = lines.prefix(2).joined(separator: "; ")
            throw Failure(.sourceFailed, "the database '\(original)' is damaged: \(words)", hint: Self.hint)
        }
        try flag.check()
        do {
            let violations = try Row.fetchAll(database, sql: "PRAGMA foreign_key_check").count
            facts["foreign key violations"] = .count(Int64(violations))
            if violations > 0 { notices.append("\(violations) rows violate a foreign key") }
        } catch let error as DatabaseError {
            notices.append("foreign keys cannot be checked: \(error.message ?? "")")
        }
    }

    /// Full-text indexes have a check of their own: the pages may be sound and the index wrong.
    private mutating func checkIndexes(_ database: Database, _ original: String, _ flag: CancellationFlag) throws {
        let tables = try Row.fetchAll(
            database, sql: "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE 'create virtual%'")
        for row in tables {
            try flag.check()
            let name: String = row["name"]
            let words = (row["sql"] as String).lowercased().split { !($0.isLetter || $0.isNumber) }
            guard let using = words.firstIndex(of: "using"), using + 1 < words.count else { continue }
            let kind = words[using + 1]
            guard ["fts3", "fts4", "fts5"].contains(kind) else { continue }
            do {
                try check(database, name, values: "(\(quoted(name))) VALUES ('integrity-check')")
            } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
                throw Failure(
                    .sourceFailed, "the full-text index '\(name)' of '\(original)' is damaged",
                    hint: "Rebuild it: INSERT INTO \(name)(\(name)) VALUES('rebuild').")
            } catch let error as DatabaseError {
                notices.append("the full-text index '\(name)' cannot be checked: \(error.message ?? "")")
                continue
            }
            guard kind == "fts5" else { continue }
            do {
                // Compares the index with the table that its text comes from, when that is another one.
                try check(database, name, values: "(\(quoted(name)), rank) VALUES ('integrity-check', 1)")
            } catch is DatabaseError {
                notices.append("the full-text index '\(name)' does not agree with the table that it indexes")
            }
        }
    }

    private func check(_ database: Database, _ table: String, values: String) throws {
        try database.inSavepoint {
            try database.execute(sql: "INSERT INTO \(quoted(table))\(values)")
            return .rollback
        }
    }

    private mutating func count(_ database: Database, _ flag: CancellationFlag) throws {
        for name in ["user_version", "application_id", "page_size"] {
            facts[name] = .count(try Int64.fetchOne(database, sql: "PRAGMA \(name)") ?? 0)
        }
        facts["encoding"] = .text(try String.fetchOne(database, sql: "PRAGMA encoding") ?? "")
        let schema = try Row.fetchAll(
            database, sql: "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name, tbl_name")
        var digest = RunningSHA256()
        for row in schema {
            let fields = ["type", "name", "tbl_name", "sql"].map { (row[$0] as String?) ?? "" }
            Array(fields.joined(separator: "\u{1f}").utf8 + [0x1e]).withUnsafeBytes { digest.update($0) }
            guard fields[0] == "table", !fields[1].hasPrefix("sqlite_stat") else { continue }
            try flag.check()
            do {
                let rows = try Int64.fetchOne(database, sql: "SELECT count(*) FROM \(quoted(fields[1]))") ?? 0
                facts["table \(fields[1]) rows"] = .count(rows)
            } catch let error as DatabaseError where error.resultCode == .SQLITE_ERROR {
                // A virtual table whose module is an extension of the application's own.
                notices.append("table '\(fields[1])' was not counted: \(error.message ?? "")")
            }
        }
        facts["schema sha256"] = .text(digest.finish().description)
    }

    private func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
