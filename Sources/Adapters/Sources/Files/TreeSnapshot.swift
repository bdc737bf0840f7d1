// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain
import Synchronization

/// A folder that a server made for being copied: hard links to files that are never written again.
public enum TreeSnapshot {
    /// What was found in it.
    public struct Outcome: Sendable {
        /// Files, directories and bytes of the whole folder, stored anew or not.
        public var facts: Facts
        public var notices: [String]
    }

    /// Writes everything below `directory` to a stream; members are named relative to it, so that the folder may have
    /// another name every night. Files whose size, modification time and inode are as in the base are not read again: making
    /// a hard link changes nothing else of a file.
    ///
    /// - Throws: `Failure(.sourceDenied)`, `Failure(.sourceFailed)`, and `Failure(.sourceChanged)` for a file that changes.
    public static func capture(
        at directory: String, into sink: any CaptureSink, stream: String
    ) async throws -> Outcome {
        let nothing = try PathPatterns([])
        let capture = TreeCapture(
            roots: [TreeRoot(member: [], at: Array(directory.utf8))],
            walking: TreeWalker.Options(
                exclude: nothing, include: nothing, oneFileSystem: true, allowedUnreadable: nothing),
            packing: TreePacker.Options(failsOnChange: true, storesDevices: false, allowedUnreadable: nothing),
            evidence: .immutableContent)
        let outcome = Mutex<TreeCapture.Outcome?>(nil)
        _ = try await sink.tree(stream, estimatedBytes: nil) { sink, base in
            let found = try await CancellationFlag.run { try capture.run(into: sink, base: base, flag: $0) }
            outcome.withLock { $0 = found }
            return found.end
        }
        guard let found = outcome.withLock({ $0 }) else {
            throw Failure(.internalError, "the capture of a folder ended without a result")
        }
        // Nobody but us removes a snapshot.
        guard found.vanished == 0 else {
            throw Failure(
                .sourceChanged,
                "\(found.vanished) files of the snapshot '\(directory)' were gone before they were read",
                hint: "Does something else clean up the server's snapshots?")
        }
        return Outcome(facts: found.counts.facts, notices: found.notices)
    }
}
