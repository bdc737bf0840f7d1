// SPDX-License-Identifier: Apache-2.0

/// An adapter that can restore into an engine or folder made for the purpose, far from anything live: a drill is held there.
public protocol DrillingAdapter: SourceAdapter {
    /// Starts an empty engine below `folder` and gives `body` the adapter that restores into it. When the body ends, however,
    /// the engine is ended; whoever made the folder removes it. Local programs only: the adapter's transport is not used.
    ///
    /// - Parameter folder: absolute; empty, mode 0711, on a file system with room for the restored data.
    /// - Throws: `Failure(.programMissing)` when this host has no such engine, and what the body throws.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result
}
