// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Glibc

/// Walks a staged tree and holds every file against the member list: kind, mode, owner, size, time, content; and against
/// what the archive says besides: extended attributes, ACLs, targets of links.
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
    private let attributes: AttributeVerification
    /// Where in the list the cursor is.
    private var place = 0
    private let flag: CancellationFlag
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    /// Inode in the staged tree by inode at capture, for files with several names.
    private var inodes: [UInt64: Set<UInt64>] = [:]

    init(
        _ expected: MemberTable, _ attributes: AttributeVerification, comparesOwners: Bool, flag: CancellationFlag,
        farDigest: (@Sendable ([UInt8]) throws -> SHA256Digest)? = nil
    ) throws {
        self.attributes = attributes
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
            try advance()
        }
    }

    private func advance() throws {
        isAtMember = try cursor.advance()
        place += 1
    }

    /// Holds one file against the list; `end` follows the last one.
    func visit(_ file: WalkedFile) throws {
        try flag.check()
        while isAtMember {
            let order = cursor.withPath { WalkOrder.compare($0, file.path) }
            if order > 0 { break }
            if order == 0 {
                try compare(file)
                return try advance()
            }
            differ(cursor.path, "presence", "there", "missing")
            try advance()
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
        if comparesOwners, status.userID != cursor.userID || status.groupID != cursor.groupID {
            differ(path, "owner", "\(cursor.userID):\(cursor.groupID)", "\(status.userID):\(status.groupID)")
        }
        // What it is another name of was compared, and a far file is open nowhere.
        if kind == .hardLink { return }
        guard kind == .file, farDigest == nil else {
            if kind == .file, let expected = cursor.sha256, let found = try farDigest?(path), found != expected {
                differ(path, "content", expected.description, found.description)
            }
            return try compareRest(file, path, kind, file.opened)
        }
        let raw = openat(file.directory, file.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0 else { throw SystemError("open", path: path) }
        defer { close(raw) }
        if let expected = cursor.sha256 {
            let found = try digest(raw, path)
            if found != expected { differ(path, "content", expected.description, found.description) }
        }
        try compareRest(file, path, kind, raw)
    }

    /// Attributes, and the mode, which says more where the file system has no ACLs.
    private func compareRest(
        _ file: WalkedFile, _ path: [UInt8], _ kind: TreeMember.Kind?, _ descriptor: Int32?
    ) throws {
        let holdsList = try attributes.compare(file, path, place: place, descriptor: descriptor) {
            differ(path, $0, $1, $2)
        }
        // Links have no mode of their own on Linux; set-id bits without their owner are left off. Where there is an ACL, the
        // bits of the group are its mask, and without the ACL the group has what the ACL gave it.
        guard kind != .symbolicLink else { return }
        let mask: UInt32 = (comparesOwners ? 0o7777 : 0o1777) & (holdsList ? 0o7777 : 0o7707)
        let (recorded, found) = (cursor.mode & mask, file.status.mode & mask)
        if recorded != found { differ(path, "mode", String(recorded, radix: 8), String(found, radix: 8)) }
    }

    private func digest(_ raw: Int32, _ path: [UInt8]) throws -> SHA256Digest {
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
    /// What a staged copy is held against.
    struct Expectation: Sendable {
        var members = MemberTable()
        var counts = TreeCounts()
        var attributes: AttributeVerification.Expected
    }

    /// What was chosen, and what the stage noted of it. Blocks.
    func expectation() throws -> Expectation {
        let noted = try MemberAttributes(path: MemberAttributes.path(in: restore.place))
        var expected = Expectation(attributes: AttributeVerification.Expected(attributes: noted))
        var (own, base) = (MemberAttributes.Reader(noted.own), MemberAttributes.Reader(noted.base))
        try members.forEach { origin, index, cursor in
            guard selection.isChosen(origin, index) else { return }
            let entries = origin == .own ? own.entries(of: index) : base.entries(of: index)
            expected.attributes.add(entries, at: expected.members.count)
            expected.members.append(cursor.member)
            expected.counts.add(cursor.kind, size: cursor.size)
        }
        return expected
    }

    /// What was counted at capture, of which a chosen part answers to the member list only.
    func recorded(_ expected: Expectation) -> Facts {
        restore.include.isEmpty && selection.skippedDevices == 0 ? restore.contents.facts : expected.counts.facts
    }

    /// Holds the staged copies against the member lists.
    func verify(_ journal: any RestoreJournal) async throws -> [FactComparison] {
        let expected = try await Blocking.run { try expectation() }
        let roots = roots.map(\.staged)
        let (differences, found, notHeld) = try await CancellationFlag.run { flag in
            let attributes = AttributeVerification(expected.attributes, isRoot: geteuid() == 0)
            let verification = try TreeVerification(
                expected.members, attributes, comparesOwners: geteuid() == 0, flag: flag)
            do { try verification.run(roots) } catch let error as SystemError {
                throw Failure(.restoreFailed, "unable to read the staged copy: \(error)")
            }
            return (verification.differences, verification.counts, attributes.summary)
        }
        for words in notHeld { await journal.note("not as captured: \(words)") }
        return recorded(expected).compared(with: found.facts) + differences
    }
}
