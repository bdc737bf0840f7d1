// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// What a rotation did to a copy: which files were there before and are in the copy under no name.
struct Rotation: Sendable {
    /// Endings that rotation gives to what it compresses.
    private static let compressed = [".gz", ".xz", ".zst", ".bz2", ".lz4"]

    /// Files that the copy misses, for people.
    let missed: [String]
    /// Files that were shorter afterwards, by path.
    let truncated: Set<String>
    /// Files that only grew, by path.
    let grown: Set<String>

    /// - Parameter stored: inodes of the files that are in the copy, stored now or unchanged since its base.
    init(before: LogFiles, after: LogFiles, stored: Set<UInt64>, isWanted: (String) -> Bool) {
        var (missed, truncated, grown): ([String], Set<String>, Set<String>) = ([], [], [])
        for file in before.files where isWanted(file.path) {
            let now = after.same(as: file)
            if let now, now.size < file.size { truncated.insert(now.path) }
            if let now, now.path == file.path, now.size > file.size { grown.insert(file.path) }
            guard !stored.contains(file.inode) else { continue }
            if let now, now.path != file.path {
                missed.append("'\(file.path)' was renamed to '\(now.path)' while the copy was made, which misses it")
            } else if let archive = Self.compressed.lazy.compactMap({ after.named(file.path + $0) }).first,
                !stored.contains(archive.inode)
            {
                missed.append(
                    "'\(file.path)' was compressed to '\(archive.path)' while the copy was made, which misses it")
            } else if now == nil {
                missed.append("'\(file.path)' was removed before it was read")
            }
        }
        (self.missed, self.truncated, self.grown) = (missed, truncated, grown)
    }
}

/// Passes streams on and notes which inodes are in them.
final class InodeSpy: CaptureSink {
    private let inner: any CaptureSink
    private let seen = Mutex<Set<UInt64>>([])

    init(_ inner: any CaptureSink) { self.inner = inner }

    /// Inodes of the files in the finished stream and in what it leaves unchanged of its base.
    var inodes: Set<UInt64> { seen.withLock { $0 } }

    func raw(
        _ name: String, fileName: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink) async throws -> StreamEnd
    ) async throws -> StreamReceipt {
        try await inner.raw(name, fileName: fileName, estimatedBytes: estimatedBytes, body)
    }

    func tree(
        _ name: String, estimatedBytes: UInt64?,
        _ body: @escaping @Sendable (any ByteSink, TreeBase?) async throws -> TreeEnd
    ) async throws -> StreamReceipt {
        try await inner.tree(name, estimatedBytes: estimatedBytes) { sink, base in
            let end = try await body(sink, base)
            var inodes: Set<UInt64> = []
            var cursor = end.members.makeCursor()
            while try cursor.advance() { if cursor.kind == .file { inodes.insert(cursor.inode) } }
            if let base, end.unchanged > 0 {
                let gone = Set(end.deletions)
                var cursor = base.members.makeCursor()
                while try cursor.advance() {
                    if cursor.kind == .file, !gone.contains(cursor.path) { inodes.insert(cursor.inode) }
                }
            }
            self.seen.withLock { $0 = inodes }
            return end
        }
    }
}
