// SPDX-License-Identifier: Apache-2.0
import Domain

extension SecretsAdapter: DrillingAdapter {
    /// As the `files` adapter does: below that folder instead of the root of the file system.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        guard let files = files as? any DrillingAdapter else {
            throw Failure(.restoreBlocked, "secrets beyond this host cannot be drilled")
        }
        let settings = settings
        return try await files.inScratch(restore, folder: folder) { inner in
            try await body(SecretsAdapter(settings: settings, files: inner, isDrilled: true))
        }
    }

    func places(of restore: SourceRestore) -> [String: String] {
        (files as? any DrillingAdapter)?.places(of: restore) ?? [:]
    }
}
