// SPDX-License-Identifier: Apache-2.0
import Domain

extension SQLiteAdapter: DrillingAdapter {
    /// A file of that folder in the live one's stead.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        var settings = settings
        settings.path = "\(folder)/database.db"
        return try await body(SQLiteAdapter(settings: settings, environment: environment))
    }
}
