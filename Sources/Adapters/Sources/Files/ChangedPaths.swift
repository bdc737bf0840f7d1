// SPDX-License-Identifier: Apache-2.0
import FileSystem

/// Paths to be stored in an incremental, in walk order, without an allocation each.
///
/// An unchanged directory is stored, too, when a file directly in it is: who extracts by hand writes into it, and only
/// its member then puts its modification time right.
struct ChangedPaths: Sendable {
    private struct Entry {
        var root: Int32
        var end: Int
        var isStored: Bool
    }

    private var bytes: [UInt8] = []
    private var entries: [Entry] = []
    private var linkTargets: [Int: [UInt8]] = [:]
    /// Unchanged directories from the outermost to where the walk is: index and length of the path.
    private var unchangedAbove: [Int] = []
    /// Unchanged directories that are stored.
    private(set) var storedAnyway = 0

    /// Adds what is stored.
    mutating func append(_ file: WalkedFile, linkTarget: [UInt8]?) {
        leave(file)
        if file.status.kind != .directory, let parent = unchangedAbove.last, !entries[parent].isStored,
            isParent(parent, of: file)
        {
            entries[parent].isStored = true
            storedAnyway += 1
        }
        if let linkTarget { linkTargets[entries.count] = linkTarget }
        add(file, isStored: true)
    }

    /// Adds a directory that is stored only if something in it is.
    mutating func appendUnchanged(_ directory: WalkedFile) {
        leave(directory)
        unchangedAbove.append(entries.count)
        add(directory, isStored: false)
    }

    /// Calls `body` with root, path and link target of each.
    func forEach(_ body: (Int, [UInt8], [UInt8]?) throws -> Void) rethrows {
        for (index, entry) in entries.enumerated() where entry.isStored {
            try body(Int(entry.root), Array(bytes[range(index)]), linkTargets[index])
        }
    }

    private mutating func add(_ file: WalkedFile, isStored: Bool) {
        bytes.append(contentsOf: file.path)
        entries.append(Entry(root: Int32(file.root), end: bytes.count, isStored: isStored))
    }

    private func range(_ index: Int) -> Range<Int> {
        (index == 0 ? 0 : entries[index - 1].end)..<entries[index].end
    }

    /// Forgets the directories that the walk has left.
    private mutating func leave(_ file: WalkedFile) {
        while let last = unchangedAbove.last {
            let path = range(last)
            let isWithin =
                entries[last].root == file.root && file.path.count > path.count
                && file.path[path.count] == UInt8(ascii: "/") && file.path.starts(with: bytes[path])
            if isWithin { return }
            unchangedAbove.removeLast()
        }
    }

    private func isParent(_ index: Int, of file: WalkedFile) -> Bool {
        file.path.lastIndex(of: UInt8(ascii: "/")) == range(index).count
    }
}
