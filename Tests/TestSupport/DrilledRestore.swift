// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Glibc

/// One adapter's part of a drill, as `salvor drill` calls it.
public enum DrilledRestore {
    /// Restores into a throw-away engine, step by step, and asks it with `body`.
    ///
    /// - Returns: what was compared, and what the body gives. When this returns nothing of the engine is left.
    public static func of<Result: Sendable>(
        _ restore: SourceRestore, _ adapter: any SourceAdapter,
        _ body: @escaping @Sendable (any DrillingAdapter) async throws -> Result
    ) async throws -> (facts: [FactComparison], result: Result) {
        guard let drilling = adapter as? any DrillingAdapter else {
            throw Failure(.internalError, "the adapter cannot be drilled")
        }
        // A short path: that of a Unix socket has 107 bytes. Other accounts may pass it.
        let folder = "/tmp/salvor-dr-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o711])
        let keeper = try Keeper(folder: folder, nil)
        let journal = MemoryJournal()
        let outcome = try await drilling.inScratch(restore, folder: folder) { adapter in
            guard let asked = adapter as? any DrillingAdapter else {
                throw Failure(.internalError, "the restored copy cannot be asked")
            }
            let plan = try await adapter.planRestore(restore)
            guard plan.blockers.isEmpty else {
                throw Failure(.restoreBlocked, plan.blockers.joined(separator: "; "))
            }
            try await adapter.stage(restore, journal: journal)
            let facts = try await adapter.verify(restore, journal: journal)
            try await adapter.promote(restore, journal: journal)
            let result = try await body(asked)
            try await adapter.settle(restore.place, journal: journal)
            return (facts, result)
        }
        let left = try running(below: folder)
        guard left.isEmpty else { throw Failure(.internalError, "still running: \(left)") }
        withExtendedLifetime(keeper) {}
        return outcome
    }

    /// Command lines of processes that name `path`.
    public static func running(below path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid in
            guard let number = pid_t(pid), number != getpid(),
                let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
            else { return nil }
            let text = String(decoding: line.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            // The keeper of the folder names it, too.
            return text.contains(path) && !text.contains("rm -rf") ? text : nil
        }
    }
}
