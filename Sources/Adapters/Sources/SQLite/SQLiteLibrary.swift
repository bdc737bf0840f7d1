// SPDX-License-Identifier: Apache-2.0
import GRDBSQLite

/// The SQLite this process runs with.
public enum SQLiteLibrary {
    /// Version of the loaded library, such as `3.40.1`.
    public static var version: String { String(cString: sqlite3_libversion()) }

    /// Version of the headers this program was built with.
    public static var builtAgainst: String { SQLITE_VERSION }

    /// Whether the loaded library is at least as new as the headers, within the same major version, which SQLite keeps
    /// backwards compatible (https://sqlite.org/versionnumbers.html).
    public static var isCompatible: Bool {
        sqlite3_libversion_number() >= SQLITE_VERSION_NUMBER
            && sqlite3_libversion_number() / 1_000_000 == SQLITE_VERSION_NUMBER / 1_000_000
    }
}
