// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Which files of a listing count, by the rules of a walk on this host.
struct FarSelection {
    private(set) var notices = Notices()
    private let options: TreeWalker.Options
    private let storesDevices: Bool
    private let noName = UnsafeMutablePointer<CChar>.allocate(capacity: 1)

    init(_ options: TreeWalker.Options, storesDevices: Bool) {
        self.options = options
        self.storesDevices = storesDevices
        noName.pointee = 0
    }

    /// Gives back the memory.
    func end() { noName.deallocate() }

    /// Calls `visit` with what counts, in walk order.
    mutating func forEach(
        _ listing: FarListing, root: Int, of path: [UInt8], _ visit: (WalkedFile) throws -> Void
    ) throws {
        /// An excluded directory: what is in it does not count.
        var left: [UInt8]?
        /// Directories from the root down that are stored only when something in them is.
        var waiting: [(path: [UInt8], entry: FarListing.Entry)] = []
        let device = listing.entries.first?.device ?? 0
        var notices = self.notices
        try listing.forEach { name, entry in
            let bytes = Array(name)
            // The root of the file system has no name in an archive.
            guard !bytes.isEmpty else { return }
            if let outer = left, bytes.isBelow(outer) { return }
            waiting.removeAll { !bytes.isBelow($0.path) }
            let isDirectory = entry.kind == S_IFDIR
            if bytes != path, options.exclude.match(name, isDirectory: isDirectory) || Self.isOurs(bytes, below: path) {
                left = bytes
                return
            }
            guard options.include.isEmpty || options.include.matchWithin(name, isDirectory: isDirectory) else {
                if isDirectory { waiting.append((bytes, entry)) }
                return
            }
            guard try isStorable(bytes, entry, &notices) else { return }
            for above in waiting { try show(above.path, above.entry, root, visit) }
            waiting.removeAll()
            if isDirectory, options.oneFileSystem, entry.device != device {
                notices.add("'/\(PathText.display(bytes))' is another file system: what is in it is not stored")
            }
            try show(bytes, entry, root, visit)
        }
        self.notices = notices
    }

    /// What a restore left inside a root that is a mount point.
    private static func isOurs(_ path: [UInt8], below root: [UInt8]) -> Bool {
        let name = path.dropFirst(root.isEmpty ? 0 : root.count + 1)
        return name.starts(with: FarPlace.stagePrefix.utf8) || name.starts(with: FarPlace.beforePrefix.utf8)
    }

    private func isStorable(_ path: [UInt8], _ entry: FarListing.Entry, _ notices: inout Notices) throws -> Bool {
        switch entry.kind {
        case S_IFSOCK: notices.add("'/\(PathText.display(path))' is a socket: not stored")
        case S_IFCHR where !storesDevices, S_IFBLK where !storesDevices:
            notices.add("'/\(PathText.display(path))' is a device: not stored")
        default: return path != TreeCapture.deletionList
        }
        return false
    }

    private func show(
        _ path: [UInt8], _ entry: FarListing.Entry, _ root: Int, _ visit: (WalkedFile) throws -> Void
    ) throws {
        try path.withUnsafeBufferPointer {
            try visit(
                WalkedFile(root: root, path: $0, directory: -1, name: UnsafePointer(noName), status: entry.status))
        }
    }
}
