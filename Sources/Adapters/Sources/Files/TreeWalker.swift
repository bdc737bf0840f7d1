// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

/// Where a walk begins.
struct TreeRoot: Sendable, Equatable {
    /// Names of members at and below it begin with this; no leading slash; empty for the root of the file system.
    var member: [UInt8]
    /// The directory that holds it.
    var parent: [UInt8]
    /// Its name there; `.` for the root of the file system.
    var name: [UInt8]

    /// The root at an absolute path; members are named after it.
    init(path: String) {
        self.init(member: Array(path.utf8.drop { $0 == UInt8(ascii: "/") }), at: Array(path.utf8))
    }

    /// A tree at absolute `path` whose members are named as if it were `member`.
    init(member: [UInt8], at path: [UInt8]) {
        self.member = member
        let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? 0
        parent = slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
        name = Array(path[(slash + 1)...])
        if name.isEmpty { name = [UInt8(ascii: ".")] }
    }

    /// Where a member at or below the root is, seen from `parent`.
    func relative(_ path: [UInt8]) -> [UInt8] {
        guard member.isEmpty else { return name + path.dropFirst(member.count) }
        return name == [UInt8(ascii: ".")] ? path : name + [UInt8(ascii: "/")] + path
    }
}

/// One file met by a walk. The pointers are valid only while it is visited.
struct WalkedFile {
    /// Index of the root.
    var root: Int
    /// The member's name.
    var path: UnsafeBufferPointer<UInt8>
    /// The file is `name` in the open directory `directory`.
    var directory: Int32
    var name: UnsafePointer<CChar>
    var status: FileStatus
    /// The open directory, when it is one.
    var opened: Int32?
}

/// Walks trees in walk order. Each directory is opened once and read in one go, files are looked at by name relative to it;
/// next to nothing is allocated per file.
final class TreeWalker {
    /// What is walked.
    struct Options: Sendable {
        var exclude: PathPatterns
        /// When not empty: only what matches, what is in matching directories, and the directories on the way there.
        var include: PathPatterns
        var oneFileSystem: Bool
        /// What may be unreadable.
        var allowedUnreadable: PathPatterns
    }

    private(set) var notices = Notices()
    private let options: Options
    private let ahead: ScanAhead?
    private let path = PathBuffer()
    private var listings: [DirectoryListing] = []
    /// The directories from the root down to where the walk is; visited late when only what is included counts.
    private var frames: [(file: WalkedFile, pathCount: Int, isVisited: Bool)] = []
    private var visit: (WalkedFile) throws -> Void = { _ in }
    private var device: UInt64 = 0
    private var root = 0

    /// - Parameter looksAhead: reads directories and looks at files on other cores, before the walk is there: for visits
    ///   that only compare. Who reads files needs their status as of that moment.
    init(_ options: Options, looksAhead: Bool = false) {
        self.options = options
        let helpers = looksAhead ? ScanAhead.usualHelpers : 0
        ahead = helpers > 0 ? ScanAhead(helpers: helpers) : nil
    }

    deinit { ahead?.stop() }

    /// Visits every file below `roots`, which must be in walk order and not within each other.
    ///
    /// - Throws: `Failure(.sourceDenied)` for what may not be read, `Failure(.sourceFailed)` for a missing root or a failed
    ///   call, and what `visit` throws.
    func walk(_ roots: [TreeRoot], _ visit: @escaping (WalkedFile) throws -> Void) throws {
        self.visit = visit
        defer { self.visit = { _ in } }
        for (index, root) in roots.enumerated() {
            self.root = index
            do {
                try walk(root)
            } catch let error as SystemError {
                throw Failure(.sourceFailed, "unable to read files: \(error)")
            }
        }
    }

    private func walk(_ root: TreeRoot) throws {
        let display = "/" + PathText.display(root.member)
        let parent = try Descriptor.directory(root.parent, followingLinks: true)
        guard let status = try FileStatus.find(root.name, in: parent.raw) else {
            throw Failure(
                .sourceFailed, "'\(display)' does not exist", hint: "Correct the source's paths, or create it.")
        }
        path.truncate(to: 0)
        device = status.device
        try withCName(root.name) { name in
            if !root.member.isEmpty { root.member.withUnsafeBufferPointer { _ = path.append($0) } }
            let isIncluded =
                options.include.isEmpty
                || options.include.matchWithin(path.bytes, isDirectory: status.kind == .directory)
            let entry = ahead.map { _ in ScanAhead.Entry(name, in: parent.raw) }
            try consider(name, parent.raw, status, isIncluded: isIncluded, entry)
        }
    }

    /// Visits one file and, if it is a directory, what is in it.
    private func consider(
        _ name: UnsafePointer<CChar>, _ directory: Int32, _ status: FileStatus, isIncluded: Bool,
        _ entry: ScanAhead.Entry? = nil
    ) throws {
        var file = WalkedFile(root: root, path: path.bytes, directory: directory, name: name, status: status)
        guard status.kind == .directory else {
            if isIncluded {
                try visitFrames()
                try visit(file)
            }
            return
        }
        if let ahead, let entry {
            let scanned = ahead.take(entry)
            defer { ahead.giveBack(scanned) }
            guard let raw = scanned.descriptor else { return try missed(scanned.error) }
            file.opened = raw
            return try visit(directory: file, isIncluded: isIncluded) {
                try descend(scanned, raw, ahead, isIncluded: isIncluded)
            }
        }
        let raw = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0 else { return try missed(errno) }
        defer { close(raw) }
        file.opened = raw
        try visit(directory: file, isIncluded: isIncluded) { try descend(raw, isIncluded: isIncluded) }
    }

    /// Visits an open directory and, unless it is another file system, what is in it.
    private func visit(directory file: WalkedFile, isIncluded: Bool, _ descend: () throws -> Void) throws {
        frames.append((file, path.count, false))
        defer { frames.removeLast() }
        if isIncluded { try visitFrames() }
        if options.oneFileSystem, file.status.device != device {
            notices.add("'/\(PathText.display(path.bytes))' is another file system: what is in it is not stored")
            return
        }
        try descend()
    }

    /// The same as below, with the help of others.
    private func descend(
        _ scanned: ScannedDirectory, _ directory: Int32, _ ahead: ScanAhead, isIncluded: Bool
    ) throws {
        let listing = try scanned.names()
        let entries = try directories(scanned, listing, directory)
        ahead.enter(entries.map(\.entry))
        defer { ahead.leave() }
        var next = 0
        for index in 0..<listing.count {
            var entry: ScanAhead.Entry?
            if next < entries.count, entries[next].index == index {
                entry = entries[next].entry
                next += 1
            }
            try consider(
                listing, index, try scanned.status(at: index), in: directory, isIncluded: isIncluded, entry)
        }
    }

    /// The directories among the names, which the walk will enter: helpers must not look into others.
    private func directories(
        _ scanned: ScannedDirectory, _ listing: DirectoryListing, _ directory: Int32
    ) throws -> [(index: Int, entry: ScanAhead.Entry)] {
        var found: [(index: Int, entry: ScanAhead.Entry)] = []
        for index in 0..<listing.count {
            guard let status = scanned.known(at: index) else { break }
            guard status.kind == .directory, !options.oneFileSystem || status.device == device else { continue }
            let before = path.append(listing.bytes(at: index))
            defer { path.truncate(to: before) }
            if options.exclude.match(path.bytes, isDirectory: true) { continue }
            found.append((index, ScanAhead.Entry(listing.name(at: index), in: directory)))
        }
        return found
    }

    private func descend(_ directory: Int32, isIncluded: Bool) throws {
        let depth = frames.count
        while listings.count < depth { listings.append(DirectoryListing()) }
        let listing = listings[depth - 1]
        try listing.read(directory, path: Array(path.bytes))
        for index in 0..<listing.count {
            let status = try FileStatus.find(listing.name(at: index), in: directory)
            try consider(listing, index, status, in: directory, isIncluded: isIncluded, nil)
        }
    }

    /// Goes on with an entry of the directory where the walk is, unless it is gone or excluded.
    private func consider(
        _ listing: DirectoryListing, _ index: Int, _ status: FileStatus?, in directory: Int32, isIncluded: Bool,
        _ entry: ScanAhead.Entry?
    ) throws {
        let before = path.append(listing.bytes(at: index))
        defer { path.truncate(to: before) }
        guard let status else {
            return notices.add("'/\(PathText.display(path.bytes))' vanished during the walk")
        }
        let isDirectory = status.kind == .directory
        if options.exclude.match(path.bytes, isDirectory: isDirectory) { return }
        let isWanted = isIncluded || options.include.match(path.bytes, isDirectory: isDirectory)
        try consider(listing.name(at: index), directory, status, isIncluded: isWanted, entry)
    }

    private func visitFrames() throws {
        guard let last = frames.last, !last.isVisited else { return }
        for index in frames.indices where !frames[index].isVisited {
            frames[index].isVisited = true
            // The root of the file system has no name in an archive.
            guard frames[index].pathCount > 0 else { continue }
            var file = frames[index].file
            file.path = UnsafeBufferPointer(rebasing: path.bytes[..<frames[index].pathCount])
            try visit(file)
        }
    }

    private func missed(_ code: Int32) throws {
        let text = "/" + PathText.display(path.bytes)
        switch code {
        case ENOENT, ENOTDIR, ELOOP: notices.add("'\(text)' vanished during the walk")
        case EACCES, EPERM:
            guard options.allowedUnreadable.matchWithin(path.bytes, isDirectory: true) else {
                throw Failure(
                    .sourceDenied, "no permission to read '\(text)'",
                    hint: "Run as a user who may, exclude it, or list it under 'allow-unreadable'.")
            }
            notices.add("no permission to read '\(text)': not stored")
        default: throw SystemError("open directory", path: path.bytes, code: code)
        }
    }
}

/// Notices, at most a thousand of them and then a count.
struct Notices: Sendable {
    private(set) var texts: [String] = []
    private var more = 0

    mutating func add(_ text: String) {
        if texts.count < 1000 { texts.append(text) } else { more += 1 }
    }

    mutating func add(_ other: Notices) {
        for text in other.texts { add(text) }
        more += other.more
    }

    /// All of them.
    var all: [String] { more == 0 ? texts : texts + ["and \(more) more notices"] }
}
