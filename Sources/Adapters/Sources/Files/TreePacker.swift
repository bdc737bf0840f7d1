// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Glibc

/// Writes walked files into a tar and lists them.
final class TreePacker {
    /// How files are read.
    struct Options: Sendable {
        var failsOnChange: Bool
        var storesDevices: Bool
        var allowedUnreadable: PathPatterns
        /// Called between opening and reading a file, and between the readings; tests change files there.
        var beforeReading: (@Sendable ([UInt8]) -> Void)?
    }

    private(set) var table = MemberTable()
    private(set) var counts = TreeCounts()
    private(set) var notices = Notices()
    /// Members that were to be stored and could not be, since they vanished.
    private(set) var vanished: [[UInt8]] = []
    private let writer: TarWriter
    private let options: Options
    private let flag: CancellationFlag
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    /// Stored members of inodes with several names, of the current root.
    private var linkTargets: [FileIdentity: [UInt8]] = [:]
    private var root = 0

    init(into sink: any ByteSink, _ options: Options, _ flag: CancellationFlag) throws {
        writer = try TarWriter(into: sink)
        self.options = options
        self.flag = flag
    }

    deinit {
        buffer.deallocate()
    }

    /// Writes a file that is in no list, before all members.
    func packUnlisted(path: [UInt8], content: [UInt8]) throws {
        var header = TarHeader(path: path, kind: .file)
        header.mode = 0o600
        header.size = UInt64(content.count)
        try writer.begin(header)
        try content.withUnsafeBytes { try writer.write($0) }
        try writer.end()
    }

    /// Writes the end; returns the length of the archive.
    func finish() throws -> UInt64 {
        for warning in writer.warnings { notices.add(warning) }
        return try writer.finish()
    }

    /// Writes one member.
    ///
    /// - Parameter linkTarget: a member of the base that is the same inode.
    func pack(_ file: WalkedFile, linkTarget: [UInt8]? = nil) throws {
        try flag.check()
        if file.root != root {
            linkTargets.removeAll()
            root = file.root
        }
        let path = Array(file.path)
        guard var header = TarHeader(path: path, status: file.status) else {
            notices.add("'/\(PathText.display(path))' is a socket: not stored")
            return
        }
        switch header.kind {
        case .file: return try packFile(header, file, linkTarget)
        case .directory:
            if let opened = file.opened { try header.readAttributes(of: .descriptor(opened)) }
        case .symbolicLink:
            guard let target = try LinkTarget.read(file.name, in: file.directory, path: file.path) else {
                return vanish(path)
            }
            header.linkTarget = target
            try header.readAttributes(of: .entry(file.name, in: file.directory))
        case .characterDevice, .blockDevice:
            guard options.storesDevices else {
                notices.add("'/\(PathText.display(path))' is a device: not stored")
                return
            }
            try header.readAttributes(of: .entry(file.name, in: file.directory))
        case .fifo, .hardLink: try header.readAttributes(of: .entry(file.name, in: file.directory))
        }
        let offset = writer.offset
        try writer.begin(header)
        try writer.end()
        list(header, file.status, offset: offset, digest: nil)
    }

    private func packFile(_ header: TarHeader, _ file: WalkedFile, _ linkTarget: [UInt8]?) throws {
        var header = header
        if file.status.links > 1, let target = linkTarget ?? linkTargets[FileIdentity(file.status)] {
            return try packLink(header, file, to: target)
        }
        let raw = openat(file.directory, file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard raw >= 0 else { return try missed(header.path, errno) }
        defer { close(raw) }
        try header.readAttributes(of: .descriptor(raw))
        let offset = writer.offset
        var status = file.status
        let digest: SHA256Digest
        if status.size <= buffer.count {
            options.beforeReading?(header.path)
            guard let kept = try readWhole(raw, &status, &header) else { return }
            digest = SHA256Digest.of(kept)
            if status.mayHaveHoles { try header.readHoles(of: raw) }
            try writer.begin(header)
            try writer.write(kept)
        } else {
            if status.mayHaveHoles { try header.readHoles(of: raw) }
            try writer.begin(header)
            digest = try copy(raw, status, header.path)
        }
        try writer.end()
        if status.links > 1 { linkTargets[FileIdentity(status)] = header.path }
        list(header, status, offset: offset, digest: digest)
    }

    /// Reads a file that fits into the buffer, again if it changes meanwhile. What is listed is its status before.
    private func readWhole(
        _ raw: Int32, _ status: inout FileStatus, _ header: inout TarHeader
    ) throws -> UnsafeRawBufferPointer? {
        let path = header.path
        for attempt in 1... {
            let read = try fill(raw, Int(status.size), path)
            let after = try FileStatus.of(raw, path: path)
            if !isChanged(status, after), read == Int(status.size) { break }
            guard after.kind == .file else {
                notices.add("'/\(PathText.display(path))' became another kind of file: not stored")
                vanished.append(path)
                return nil
            }
            if attempt == 2 || after.size > buffer.count {
                try noteChange(path)
                if read < Int(status.size) {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[read..<Int(status.size)]).initializeMemory(
                        as: UInt8.self, repeating: 0)
                }
                break
            }
            status = after
            let fresh = TarHeader(path: path, status: after)
            header.size = after.size
            header.modified = after.modified
            (header.mode, header.userID, header.groupID) =
                (fresh?.mode ?? header.mode, after.userID, after.groupID)
            guard lseek(raw, 0, SEEK_SET) == 0 else { throw SystemError("seek", path: path) }
            options.beforeReading?(path)
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<Int(status.size)])
    }

    /// Copies a large file of which `status.size` bytes are announced already.
    private func copy(_ raw: Int32, _ status: FileStatus, _ path: [UInt8]) throws -> SHA256Digest {
        options.beforeReading?(path)
        var digest = RunningSHA256()
        var rest = status.size
        while rest > 0 {
            try flag.check()
            let wanted = Int(min(rest, UInt64(buffer.count)))
            let read = try fill(raw, wanted, path)
            if read < wanted {
                UnsafeMutableRawBufferPointer(rebasing: buffer[read..<wanted]).initializeMemory(
                    as: UInt8.self, repeating: 0)
            }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<wanted])
            digest.update(piece)
            try writer.write(piece)
            rest -= UInt64(wanted)
        }
        let after = try FileStatus.of(raw, path: path)
        if isChanged(status, after) { try noteChange(path) }
        return digest.finish()
    }

    private func packLink(_ header: TarHeader, _ file: WalkedFile, to target: [UInt8]) throws {
        var link = header
        link.kind = .hardLink
        link.size = 0
        link.linkTarget = target
        let offset = writer.offset
        try writer.begin(link)
        try writer.end()
        list(link, file.status, offset: offset, digest: nil)
    }

    /// Reads `count` bytes to the start of the buffer; fewer only at the end of the file.
    private func fill(_ raw: Int32, _ count: Int, _ path: [UInt8]) throws -> Int {
        var done = 0
        while done < count {
            let read = Glibc.read(raw, buffer.baseAddress?.advanced(by: done), count - done)
            if read < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { return done }
                throw SystemError("read", path: path)
            }
            if read == 0 { return done }
            done += read
        }
        return done
    }

    private func isChanged(_ before: FileStatus, _ after: FileStatus) -> Bool {
        !before.isSameFile(as: after) || before.size != after.size || before.modified != after.modified
            || before.changed != after.changed
    }

    private func noteChange(_ path: [UInt8]) throws {
        let text = "'/\(PathText.display(path))' changed while it was read"
        if options.failsOnChange {
            throw Failure(
                .sourceChanged, text,
                hint: "Take the copy from a snapshot, exclude the file, or set 'on-change: report'.")
        }
        notices.add(text)
    }

    /// Notes a member that is gone.
    func vanish(_ path: [UInt8]) {
        notices.add("'/\(PathText.display(path))' vanished before it was read")
        vanished.append(path)
    }

    private func missed(_ path: [UInt8], _ code: Int32) throws {
        switch code {
        case ENOENT, ELOOP, ENXIO: vanish(path)
        case EACCES, EPERM:
            let isAllowed = path.withUnsafeBufferPointer {
                options.allowedUnreadable.matchWithin($0, isDirectory: false)
            }
            guard isAllowed else {
                throw Failure(
                    .sourceDenied, "no permission to read '/\(PathText.display(path))'",
                    hint: "Run as a user who may, exclude it, or list it under 'allow-unreadable'.")
            }
            notices.add("no permission to read '/\(PathText.display(path))': not stored")
            vanished.append(path)
        default: throw SystemError("open", path: path, code: code)
        }
    }

    private func list(_ header: TarHeader, _ status: FileStatus, offset: UInt64, digest: SHA256Digest?) {
        let kind = header.memberKind
        counts.add(kind, size: header.size)
        table.append(
            TreeMember(
                path: header.path, kind: kind, mode: header.mode, userID: header.userID, groupID: header.groupID,
                size: header.size, modified: header.modified,
                changed: RecentChange.isRecent(status) ? 0 : status.changed, inode: status.inode, offset: offset,
                length: writer.offset - offset, sha256: digest))
    }
}

extension TarHeader {
    /// The kind as member lists name it.
    var memberKind: TreeMember.Kind {
        switch kind {
        case .file: .file
        case .directory: .directory
        case .symbolicLink: .symbolicLink
        case .hardLink: .hardLink
        case .fifo: .fifo
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        }
    }
}

/// The kernel stamps times with the tick of its clock (1 to 10 ms). A file written twice within one tick, the second time
/// after it was read, would look unchanged on the next night; so one changed just now is listed with change time 0, which
/// no file has, and is stored again next time.
enum RecentChange {
    /// Two of the longest ticks.
    static let nanoseconds: Int64 = 20_000_000

    static func isRecent(_ status: FileStatus) -> Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return status.changed > Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec) - nanoseconds
    }
}
