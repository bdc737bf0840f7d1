// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem

/// Merges a walk with the members of a base: both are in walk order, so one look ahead is enough.
final class BaseComparison {
    /// What must be equal for a file to count as unchanged.
    enum Evidence: Sendable {
        /// Size, times, inode, mode and owner.
        case status
        /// For files that are never written again: making a hard link to one (a snapshot) changes its change time, so for
        /// regular files only size, modification time and inode count.
        case immutableContent
    }

    private(set) var deletions: [[UInt8]] = []
    private(set) var counts = TreeCounts()
    private(set) var unchanged = 0
    private(set) var unchangedBytes: UInt64 = 0
    private let evidence: Evidence
    private var cursor: MemberCursor
    private var isAtMember: Bool
    /// Inodes with several names whose file member in the base is kept: other names of it can refer to that.
    private var keptInodes: [FileIdentity: [UInt8]] = [:]
    private var root = 0

    init(_ base: MemberTable, evidence: Evidence) throws {
        self.evidence = evidence
        cursor = base.makeCursor()
        isAtMember = try cursor.advance()
    }

    /// Whether `file` is in the base as it is now; notes what was passed over on the way as deleted.
    func isUnchanged(_ file: WalkedFile) throws -> Bool {
        if file.root != root {
            keptInodes.removeAll()
            root = file.root
        }
        while isAtMember {
            let order = cursor.withPath { WalkOrder.compare($0, file.path) }
            if order > 0 { return false }
            if order == 0 {
                let same = compare(file)
                isAtMember = try cursor.advance()
                return same
            }
            deletions.append(cursor.path)
            isAtMember = try cursor.advance()
        }
        return false
    }

    /// The member of the base that a new name of the file can be a hard link to; nil when there is none.
    func keptPath(of status: FileStatus) -> [UInt8]? { status.links > 1 ? keptInodes[FileIdentity(status)] : nil }

    /// Notes what the walk did not meet.
    func finish() throws {
        while isAtMember {
            deletions.append(cursor.path)
            isAtMember = try cursor.advance()
        }
    }

    /// Takes back directories that are stored though they are unchanged.
    func forgetDirectories(_ count: Int) {
        unchanged -= count
        counts.directories -= count
    }

    private func compare(_ file: WalkedFile) -> Bool {
        let status = file.status
        let kind: TreeMember.Kind
        switch status.kind {
        case .file: kind = cursor.kind == .hardLink ? .hardLink : .file
        case .directory: kind = .directory
        case .symbolicLink: kind = .symbolicLink
        case .fifo: kind = .fifo
        case .characterDevice: kind = .characterDevice
        case .blockDevice: kind = .blockDevice
        case .socket, .other: return changed(isOtherKind: true)
        }
        guard kind == cursor.kind else { return changed(isOtherKind: true) }
        guard cursor.inode == status.inode, cursor.modified == status.modified,
            kind != .file || cursor.size == status.size
        else { return changed(isOtherKind: false) }
        if evidence == .status || status.kind != .file {
            guard cursor.changed == status.changed, cursor.mode == status.mode, cursor.userID == status.userID,
                cursor.groupID == status.groupID
            else { return changed(isOtherKind: false) }
        }
        if status.kind == .file, status.links > 1 {
            if kind == .file {
                keptInodes[FileIdentity(status)] = cursor.path
            } else if keptInodes[FileIdentity(status)] == nil {
                // Its file member is gone from the tree, so this name must carry the content now.
                return false
            }
        }
        unchanged += 1
        counts.add(kind, size: cursor.size)
        if kind == .file { unchangedBytes += cursor.size }
        return true
    }

    private func changed(isOtherKind: Bool) -> Bool {
        // A directory cannot be replaced by a file and the other way round: the old one must go first.
        if isOtherKind { deletions.append(cursor.path) }
        return false
    }
}

/// What two names of one file have in common.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64

    init(_ status: FileStatus) {
        (device, inode) = (status.device, status.inode)
    }
}
