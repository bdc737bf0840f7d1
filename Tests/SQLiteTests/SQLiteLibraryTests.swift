// SPDX-License-Identifier: Apache-2.0
import GRDB
import SQLite
import Testing

@Suite("The SQLite library")
struct SQLiteLibraryTests {
    @Test("the loaded library fits the one built against, and is the one that runs statements")
    func version() throws {
        #expect(SQLiteLibrary.isCompatible, "\(SQLiteLibrary.version) \(SQLiteLibrary.builtAgainst)")
        let running = try DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }
        #expect(running == SQLiteLibrary.version)
    }
}
