// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Glibc

/// Takes a tree into one tar: everything, or what changed since a base.
struct TreeCapture: Sendable {
    /// The name of an incremental's first member: the paths to remove from an extracted base before the rest is
    /// extracted over it, each followed by NUL, what is in a directory before the directory.
    static let deletionList = Array(".salvor-deleted".utf8)

    /// What a capture found out.
    struct Outcome: Sendable {
        var end: TreeEnd
        /// Of the whole tree, stored or not.
        var counts: TreeCounts
        var notices: [String]
        /// How many files that the walk met were gone when they were to be read.
        var vanished: Int
    }

    var roots: [TreeRoot]
    var walking: TreeWalker.Options
    var packing: TreePacker.Options
    var evidence = BaseComparison.Evidence.status

    /// Writes the tar to `sink`. Blocks.
    ///
    /// - Throws: `Failure`, `CancellationError`, and what the sink throws.
    func run(into sink: any ByteSink, base: TreeBase?, flag: CancellationFlag) throws -> Outcome {
        do {
            guard let base else { return try full(sink, flag) }
            return try incremental(sink, base, flag)
        } catch let error as SystemError {
            throw Failure(error.code == EACCES ? .sourceDenied : .sourceFailed, "unable to read files: \(error)")
        } catch let error as ArchiveError {
            throw Failure(.sourceFailed, "unable to write the archive: \(error)")
        }
    }

    private func full(_ sink: any ByteSink, _ flag: CancellationFlag) throws -> Outcome {
        let packer = try TreePacker(into: sink, packing, flag)
        let walker = TreeWalker(walking)
        try walker.walk(roots) { file in
            guard !isDeletionList(file.path) else { return }
            try packer.pack(file)
        }
        let length = try packer.finish()
        return outcome(length, packer, walker, deletions: [], comparison: nil)
    }

    private func incremental(_ sink: any ByteSink, _ base: TreeBase, _ flag: CancellationFlag) throws -> Outcome {
        // The list of deletions comes first in the archive, so the walk must end before the first member is written.
        let comparison = try BaseComparison(base.members, evidence: evidence)
        let walker = TreeWalker(walking, looksAhead: true)
        var changed = ChangedPaths()
        try walker.walk(roots) { file in
            try flag.check()
            guard !isDeletionList(file.path) else { return }
            guard try !comparison.isUnchanged(file) else {
                if file.status.kind == .directory { changed.appendUnchanged(file) }
                return
            }
            changed.append(file, linkTarget: comparison.keptPath(of: file.status))
        }
        try comparison.finish()
        comparison.forgetDirectories(changed.storedAnyway)
        let packer = try TreePacker(into: sink, packing, flag)
        try packer.packUnlisted(path: Self.deletionList, content: Self.listing(comparison.deletions))
        try pack(changed, packer)
        let length = try packer.finish()
        // What vanished after the walk is gone from the tree, too. Merging keeps walk order.
        var deletions = comparison.deletions
        if !packer.vanished.isEmpty {
            deletions = (deletions + packer.vanished).sorted { WalkOrder.compare($0, $1) < 0 }
        }
        return outcome(length, packer, walker, deletions: deletions, comparison: comparison)
    }

    /// Opens every changed file again by its path, part by part; in walk order that is one open directory after another.
    private func pack(_ changed: ChangedPaths, _ packer: TreePacker) throws {
        var chains: [Int: DirectoryChain] = [:]
        try changed.forEach { root, path, linkTarget in
            let chain: DirectoryChain
            if let known = chains[root] {
                chain = known
            } else {
                chain = DirectoryChain(root: try Descriptor.directory(roots[root].parent, followingLinks: true))
                chains = [root: chain]
            }
            let relative = roots[root].relative(path)
            do {
                let (directory, name) = try chain.parent(of: relative)
                try withCName(name) { name in
                    guard let status = try FileStatus.find(name, in: directory) else {
                        return packer.vanish(path)
                    }
                    // A directory is opened for its attributes.
                    let opened =
                        status.kind == .directory ? try Descriptor.directory(relative.lastPart, in: directory) : nil
                    try path.withUnsafeBufferPointer {
                        try packer.pack(
                            WalkedFile(
                                root: root, path: $0, directory: directory, name: name, status: status,
                                opened: opened?.raw), linkTarget: status.kind == .file ? linkTarget : nil)
                    }
                }
            } catch let error as SystemError where [ENOENT, ENOTDIR, ELOOP].contains(error.code) {
                packer.vanish(path)
            }
        }
    }

    private func outcome(
        _ length: UInt64, _ packer: TreePacker, _ walker: TreeWalker, deletions: [[UInt8]],
        comparison: BaseComparison?
    ) -> Outcome {
        var notices = walker.notices
        notices.add(packer.notices)
        var counts = packer.counts
        if let kept = comparison?.counts { counts.add(kept) }
        return Outcome(
            end: TreeEnd(
                length: length, members: packer.table, deletions: deletions, unchanged: comparison?.unchanged ?? 0,
                unchangedBytes: comparison?.unchangedBytes ?? 0),
            counts: counts, notices: notices.all, vanished: packer.vanished.count)
    }

    private func isDeletionList(_ path: UnsafeBufferPointer<UInt8>) -> Bool {
        path.count == Self.deletionList.count && path.elementsEqual(Self.deletionList)
    }

    /// The content of the deletion list: reversed walk order, so that a directory comes after what was in it.
    static func listing(_ deletions: [[UInt8]]) -> [UInt8] {
        var content: [UInt8] = []
        for path in deletions.reversed() {
            content += path
            content.append(0)
        }
        return content
    }
}

extension Array where Element == UInt8 {
    /// What follows the last slash.
    var lastPart: ArraySlice<UInt8> { self[((lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...] }
}
