// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Glibc

/// Walks a staged tree and holds every file against the member list: kind, mode, owner, size, time, content.
final class TreeVerification {
    /// At most this many differences are told one by one.
    private static let limit = 100

    private(set) var differences: [FactComparison] = []
    private(set) var counts = TreeCounts()
    private var cursor: MemberCursor
    private var isAtMember: Bool
    private let comparesOwners: Bool
    /// The digest of a file that is not on this host.
    private let farDigest: (@Sendable ([UInt8]) throws -> SHA256Digest)?
    private let flag: CancellationFlag
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    /// Inode in the staged tree by inode at capture, for files with several names.
    private var inodes: [UInt64: Set<UInt64>] = [:]

    init(
        _ expected: MemberTable, comparesOwners: Bool, flag: CancellationFlag,
        farDigest: (@Sendable ([UInt8]) throws -> SHA256Digest)? = nil
    ) throws {
        self.farDigest = farDigest
        cursor = expected.makeCursor()
        isAtMember = try cursor.advance()
        self.comparesOwners = comparesOwners
        self.flag = flag
    }

    deinit {
        buffer.deallocate()
    }

    /// Walks `roots`, which are in walk order of their members.
    ///
    /// - Throws: `Failure` for what cannot be read.
    func run(_ roots: [TreeRoot]) throws {
        let none = try PathPatterns([])
        let walker = TreeWalker(
            .init(exclude: none, include: none, oneFileSystem: true, allowedUnreadable: none))
        try walker.walk(roots, visit)
        try end()
    }

    /// Notes what did not come by.
    func end() throws {
        while isAtMember {
            differ(cursor.path, "presence", "there", "missing")
            isAtMember = try cursor.advance()
        }
    }

    /// Holds one file against the list; `end` follows the last one.
    func visit(_ file: WalkedFile) throws {
        try flag.check()
        while isAtMember {
            let order = cursor.withPath { WalkOrder.compare($0, file.path) }
            if order > 0 { break }
            if order == 0 {
                try compare(file)
                isAtMember = try cursor.advance()
                return
            }
            differ(cursor.path, "presence", "there", "missing")
            isAtMember = try cursor.advance()
        }
        differ(Array(file.path), "presence", "not there", "there")
    }

    private func compare(_ file: WalkedFile) throws {
        let status = file.status
        let path = Array(file.path)
        var kind = status.kind.memberKind
        if kind == .file, cursor.kind == .hardLink, inodes[cursor.inode]?.contains(status.inode) == true {
            kind = .hardLink
        }
        if let kind { counts.add(kind, size: status.size) }
        if kind != cursor.kind { return differ(path, "kind", "\(cursor.kind)", kind.map { "\($0)" } ?? "socket") }
        if kind == .file { inodes[cursor.inode, default: []].insert(status.inode) }
        if kind == .file, status.size != cursor.size { differ(path, "size", "\(cursor.size)", "\(status.size)") }
        if status.modified != cursor.modified, kind != .hardLink {
            differ(path, "modification time", "\(cursor.modified)", "\(status.modified)")
        }
        // Links have no mode of their own on Linux; set-id bits without their owner are left off.
        let mask: UInt32 = comparesOwners ? 0o7777 : 0o1777
        if kind != .symbolicLink, kind != .hardLink, status.mode & mask != cursor.mode & mask {
            differ(path, "mode", String(cursor.mode & mask, radix: 8), String(status.mode & mask, radix: 8))
        }
        if comparesOwners, status.userID != cursor.userID || status.groupID != cursor.groupID {
            differ(path, "owner", "\(cursor.userID):\(cursor.groupID)", "\(status.userID):\(status.groupID)")
        }
        if kind == .file, let expected = cursor.sha256 {
            let found = try farDigest?(path) ?? digest(file, path)
            if found != expected { differ(path, "content", expected.description, found.description) }
        }
    }

    private func digest(_ file: WalkedFile, _ path: [UInt8]) throws -> SHA256Digest {
        let raw = openat(file.directory, file.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0 else { throw SystemError("open", path: path) }
        defer { close(raw) }
        var digest = RunningSHA256()
        while true {
            try flag.check()
            let count = read(raw, buffer.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("read", path: path)
            }
            if count == 0 { return digest.finish() }
            digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private func differ(_ path: [UInt8], _ what: String, _ recorded: String, _ found: String) {
        guard differences.count < Self.limit else { return }
        differences.append(
            FactComparison(
                name: "/\(PathText.display(path)) \(what)", recorded: .text(recorded), found: .text(found)))
    }
}

extension FileStatus.Kind {
    /// The kind as member lists name it; nil for sockets.
    var memberKind: TreeMember.Kind? {
        switch self {
        case .file: .file
        case .directory: .directory
        case .symbolicLink: .symbolicLink
        case .fifo: .fifo
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        case .socket, .other: nil
        }
    }
}

extension FilesRestore {
    /// Holds the staged copies against the member lists.
    func verify() async throws -> [FactComparison] {
        var expected = MemberTable()
        var counts = TreeCounts()
        try members.forEach { origin, index, cursor in
            guard selection.isChosen(origin, index) else { return }
            expected.append(cursor.member)
            counts.add(cursor.kind, size: cursor.size)
        }
        let (table, roots) = (expected, roots.map(\.staged))
        let (differences, found) = try await CancellationFlag.run { flag in
            let verification = try TreeVerification(table, comparesOwners: geteuid() == 0, flag: flag)
            do { try verification.run(roots) } catch let error as SystemError {
                throw Failure(.restoreFailed, "unable to read the staged copy: \(error)")
            }
            return (verification.differences, verification.counts)
        }
        // A whole restore answers to what was counted at capture, a chosen part to the member list.
        var recorded = counts.facts
        if restore.include.isEmpty, selection.skippedDevices == 0 { recorded = restore.contents.facts }
        return recorded.compared(with: found.facts) + differences
    }
}
