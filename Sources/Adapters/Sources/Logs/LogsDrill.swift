// SPDX-License-Identifier: Apache-2.0
import Domain

extension LogsAdapter: DrillingAdapter {
    /// As the `files` adapter does: below that folder instead of the root of the file system.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        guard let files = try files() as? any DrillingAdapter else {
            throw Failure(.restoreBlocked, "logs beyond this host cannot be drilled")
        }
        let adapter = self
        return try await files.inScratch(restore, folder: folder) { inner in
            var drilled = adapter
            drilled.scratch = inner
            return try await body(drilled)
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        (scratch as? any DrillingAdapter)?.places(of: restore) ?? [:]
    }
}
