// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import GRDB

extension SQLiteAdapter: DrillingAdapter {
    /// A file of that folder in the live one's stead.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        var settings = settings
        settings.path = "\(folder)/database.db"
        return try await body(SQLiteAdapter(settings: settings, environment: environment))
    }

    func answer(_ sql: String, database: String?, in restore: SourceRestore) async throws -> String? {
        guard database == nil else {
            throw Failure(.restoreBlocked, "a SQLite file is one database: 'database' cannot name another")
        }
        let queue: DatabaseQueue
        do {
            var configuration = Configuration()
            configuration.readonly = true
            queue = try DatabaseQueue(path: settings.path, configuration: configuration)
        } catch let error as DatabaseError {
            throw Failure(.restoreFailed, "the restored file cannot be opened: \(error.message ?? "")")
        }
        // Whoever ends the drill, or its time, ends the query.
        return try await withTaskCancellationHandler {
            try await Blocking.run { try Self.value(sql, queue) }
        } onCancel: {
            queue.interrupt()
        }
    }

    func places(of restore: SourceRestore) -> [String: String] { ["SALVOR_DRILL_PATH": settings.path] }

    private static func value(_ sql: String, _ queue: DatabaseQueue) throws -> String? {
        do {
            return try queue.read { database in
                let rows = try Row.fetchCursor(database, sql: sql)
                // A cursor uses one row again and again.
                guard let first = try rows.next()?.copy(), first.count == 1, try rows.next() == nil else {
                    throw Failure(.verifyFailed, "it does not give one row of one value")
                }
                return switch first.databaseValues.first?.storage {
                case .int64(let number): String(number)
                case .double(let number): String(number)
                case .string(let text): text
                case .blob(let data): "\(data.count) bytes"
                default: nil
                }
            }
        } catch let error as DatabaseError {
            if error.resultCode == .SQLITE_INTERRUPT { throw CancellationError() }
            throw Failure(.verifyFailed, "SQLite says: \(error.message ?? error.resultCode.description)")
        }
    }
}
