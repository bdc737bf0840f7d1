// SPDX-License-Identifier: Apache-2.0
import Domain

extension FilesAdapter: DrillingAdapter {
    /// The whole of its paths, below that folder instead of the root of the file system.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        var adapter = self
        adapter.restoresBelow = folder
        return try await body(adapter)
    }

    func places(of restore: SourceRestore) -> [String: String] { ["SALVOR_DRILL_PATH": restoresBelow] }
}
