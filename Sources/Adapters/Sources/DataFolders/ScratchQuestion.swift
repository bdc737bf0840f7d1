// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What is the same about asking a restored copy in SQL, whosever it is.
public enum ScratchQuestion {
    /// The database that is asked.
    ///
    /// - Parameters:
    ///   - database: what the assertion says; nil: the only one.
    ///   - restored: names of all that were restored.
    /// - Throws: `Failure(.restoreBlocked)` when it is none of them, or not said which of several.
    public static func database(_ database: String?, of restored: [String]) throws -> String {
        guard let name = database ?? (restored.count == 1 ? restored.first : nil), restored.contains(name) else {
            throw Failure(
                .restoreBlocked,
                database.map { "the bundle has no database '\($0)'" }
                    ?? "the bundle has \(restored.count) databases, and the assertion does not say which is asked",
                hint: "Say 'database:' beside 'sql', one of \(restored.sorted().joined(separator: ", ")).")
        }
        return name
    }

    /// A query without the semicolon at its end, so that it can stand within another.
    public static func inner(_ sql: String) -> String {
        var query = sql[...]
        while let last = query.last, last == ";" || last.isWhitespace { query.removeLast() }
        return String(query)
    }

    /// An answer that cannot be judged.
    public static var isNotOneValue: Failure { Failure(.verifyFailed, "it does not give one row of one value") }
}
