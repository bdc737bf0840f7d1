// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
import FileSystem
import Glibc

/// Extracts tars against which one must be on one's guard.
///
/// Every name is opened part by part below a held directory, no link is ever followed, nothing that exists is written to or
/// replaced, and no more bytes are written than a member announces. What does not fit is refused and reported. Several
/// archives may go into one tree (a full, then what changed); `finish` then sets what must come last: modes and times of
/// directories. All calls block and belong on one thread.
public final class TreeExtractor {
    /// What was done so far.
    public var report: ExtractionReport {
        var all = counted
        all.ownersNotApplied = attributes.ownersNotApplied
        all.attributesNotApplied = attributes.notApplied
        return all
    }

    private var removed = false
    private var counted = ExtractionReport()
    private let attributes: AttributeSetter
    private let destinations: [(place: ExtractionDestination, chain: DirectoryChain, links: DirectoryChain)]
    /// Whether what is made in a destination inherits a default ACL, which is nobody's who was captured.
    private let inherits: [Bool]
    private let rules: ExtractionRules
    /// Directories in order of arrival; without a header those that no member describes.
    private var directories: [(destination: Int, place: [UInt8], header: TarHeader?)] = []
    private let zeros = [UInt8](repeating: 0, count: 1 << 16)

    public init(into destinations: [ExtractionDestination], rules: ExtractionRules = ExtractionRules()) {
        self.destinations = destinations.map {
            ($0, DirectoryChain(root: $0.directory), DirectoryChain(root: $0.directory))
        }
        inherits = destinations.map { destination in
            let directory = ExtendedAttributes.Target.descriptor(destination.directory.raw)
            do {
                return try ExtendedAttributes.value(AccessControlList.defaultName, of: directory, path: []) != nil
            } catch {
                // A file system without ACLs hands none on; of any other error the removal tells.
                return (error as? SystemError)?.code != EOPNOTSUPP
            }
        }
        self.rules = rules
        attributes = AttributeSetter(appliesOwners: rules.appliesOwners)
    }

    /// Extracts what `decide` chooses. `finished` is called for every extracted member, with the digest if one was wished
    /// for.
    ///
    /// - Throws: `ArchiveError` for a damaged archive, `SystemError` where the system fails (no space), what the closures
    ///   and the source throw. Refused members throw only in `finish`.
    public func extract(
        _ reader: TarReader, decide: (TarHeader) throws -> ExtractionDecision = { _ in .extract(digest: false) },
        finished: (TarHeader, SHA256Digest?) throws -> Void = { _, _ in }
    ) throws {
        while let header = try reader.next() {
            switch try decide(header) {
            case .skip: continue
            case .refuse(let reason): counted.refuse(header.path, reason)
            case .extract(let wantsDigest):
                do {
                    let digest = try extract(header, from: reader, wantsDigest: wantsDigest)
                    try finished(header, digest)
                } catch let refusal as Refusal {
                    counted.refuse(header.path, refusal.reason)
                }
            }
        }
    }

    /// Removes a member that was extracted only for others to be linked to.
    ///
    /// - Throws: `SystemError`.
    public func remove(_ path: [UInt8]) throws {
        let (index, place) = try place(of: path, "the name")
        let (parent, name) = try destinations[index].chain.parent(of: place)
        guard withCName(name, { unlinkat(parent, $0, 0) }) == 0 else { throw SystemError("remove", path: path) }
        removed = true
    }

    /// Sets modes, owners, attributes and times of directories, deepest first, and makes everything durable.
    ///
    /// - Throws: `SystemError`; `ArchiveError.refused` when members were refused and the rules say so.
    public func finish() throws {
        for (index, destination) in destinations.enumerated() {
            let described = Set(directories.lazy.filter { $0.destination == index }.map(\.place))
            for place in destination.chain.made where !described.contains(place) {
                directories.append((index, place, nil))
            }
        }
        directories.sort {
            $0.destination != $1.destination ? $0.destination < $1.destination : Self.isDeeper($0.place, $1.place)
        }
        for (index, place, header) in directories {
            let (parent, name) = try destinations[index].chain.parent(of: place)
            // A directory made only for what was removed again goes, too; any other is not empty.
            if header == nil, removed, withCName(name, { unlinkat(parent, $0, AT_REMOVEDIR) }) == 0 { continue }
            let directory = try Descriptor.directory(name, in: parent)
            if let header {
                try attributes.apply(
                    header, to: .descriptor(directory.raw), directory.raw, inherits: inherits[index])
            } else {
                if inherits[index] { try attributes.clearLists(.descriptor(directory.raw), place) }
                guard fchmod(directory.raw, 0o755) == 0 else { throw SystemError("set the mode of", path: place) }
            }
        }
        for destination in destinations {
            destination.chain.forget()
            try FileSystemSync.all(of: destination.place.directory.raw, path: destination.place.name)
        }
        if rules.failsOnRefusal, !counted.refused.isEmpty { throw ArchiveError.refused(counted.refused) }
    }

    /// Reversed order of bytes: what is in a directory begins with its path, so it is longer and comes first.
    private static func isDeeper(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        right.lexicographicallyPrecedes(left)
    }

    private func extract(_ header: TarHeader, from reader: TarReader, wantsDigest: Bool) throws -> SHA256Digest? {
        let (index, place) = try self.place(of: header.path, "the name")
        let (parent, slice) = try open(place, destinations[index].chain, creating: true)
        let name = Array(slice)
        switch header.kind {
        case .file: return try extractFile(header, name, parent, inherits[index], reader, wantsDigest)
        case .directory: try makeDirectory(header, index, place, name, parent)
        case .symbolicLink:
            try make(name, header) { name in
                withCName(header.linkTarget) { symlinkat($0, parent, name) }
            }
            counted.symbolicLinks += 1
            try attributes.applyToEntry(header, name, parent, inherits: inherits[index])
        case .hardLink: try makeLink(header, index, name, parent)
        case .fifo:
            try make(name, header) { mkfifoat(parent, $0, 0o600) }
            counted.specials += 1
            try attributes.applyToEntry(header, name, parent, inherits: inherits[index])
        case .characterDevice, .blockDevice:
            guard rules.allowsDevices else { throw Refusal("devices are not made unless allowed") }
            try make(name, header) { mknodat(parent, $0, header.nodeType | 0o600, header.device) }
            counted.specials += 1
            try attributes.applyToEntry(header, name, parent, inherits: inherits[index])
        }
        return nil
    }

    private func place(of path: [UInt8], _ what: String) throws -> (Int, [UInt8]) {
        // GNU tar writes "./name" for what it packs from the working directory.
        let clean = path.starts(with: "./".utf8) ? Array(path.dropFirst(2)) : path
        if clean.first == UInt8(ascii: "/") { throw Refusal("\(what) is absolute") }
        for (index, destination) in destinations.enumerated() {
            if let place = destination.place.place(of: clean) { return (index, place) }
        }
        throw Refusal("\(what) is outside of what was captured")
    }

    private func open(
        _ place: [UInt8], _ chain: DirectoryChain, creating: Bool
    ) throws -> (Int32, ArraySlice<UInt8>) {
        do {
            return try chain.parent(of: place, creating: creating)
        } catch let error as SystemError {
            switch error.code {
            case EINVAL: throw Refusal("the name is empty or leads out of the tree")
            case ENOTDIR, ELOOP: throw Refusal("a part of the name is a link or no directory")
            case ENOENT where !creating: throw Refusal("a part of the name does not exist")
            case ENAMETOOLONG: throw Refusal("a part of the name is too long")
            default: throw error
            }
        }
    }

    private func make(_ name: [UInt8], _ header: TarHeader, _ call: (UnsafePointer<CChar>) -> Int32) throws {
        guard withCName(name, call) != 0 else { return }
        switch errno {
        case EEXIST: throw Refusal("the name is taken already")
        case ENAMETOOLONG: throw Refusal("the name or its target is too long")
        case EPERM: throw Refusal("the right to make it is missing")
        default: throw SystemError("make", path: header.path)
        }
    }

    private func makeDirectory(
        _ header: TarHeader, _ index: Int, _ place: [UInt8], _ name: [UInt8], _ parent: Int32
    ) throws {
        if withCName(name, { mkdirat(parent, $0, 0o700) }) != 0 {
            guard errno == EEXIST, try FileStatus.find(name, in: parent)?.kind == .directory else {
                throw Refusal("the name is taken already")
            }
        }
        directories.append((index, place, header))
        counted.directories += 1
    }

    private func makeLink(_ header: TarHeader, _ index: Int, _ name: [UInt8], _ parent: Int32) throws {
        let (targetIndex, targetPlace) = try place(of: header.linkTarget, "the link's target")
        let (targetParent, targetName) = try open(targetPlace, destinations[targetIndex].links, creating: false)
        guard try FileStatus.find(targetName, in: targetParent)?.kind == .file else {
            throw Refusal("the link's target is no file of the tree")
        }
        try make(name, header) { name in
            withCName(targetName) { linkat(targetParent, $0, parent, name, 0) }
        }
        counted.hardLinks += 1
    }

    private func extractFile(
        _ header: TarHeader, _ name: [UInt8], _ parent: Int32, _ inherits: Bool, _ reader: TarReader,
        _ wantsDigest: Bool
    ) throws -> SHA256Digest? {
        let raw = withCName(name) { openat(parent, $0, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600) }
        guard raw >= 0 else {
            if errno == EEXIST { throw Refusal("the name is taken already") }
            if errno == ENAMETOOLONG { throw Refusal("the name is too long") }
            throw SystemError("create", path: header.path)
        }
        let file = Descriptor(owning: raw)
        var digest = wantsDigest ? RunningSHA256() : nil
        var position: UInt64 = 0
        try reader.readData { offset, bytes in
            guard offset >= position, offset + UInt64(bytes.count) <= header.size else {
                throw ArchiveError.damaged("'\(PathText.display(header.path))' has more data than it announces")
            }
            if offset > position {
                addZeros(offset - position, to: &digest)
                guard lseek(raw, Int(offset), SEEK_SET) >= 0 else { throw SystemError("seek", path: header.path) }
            }
            try file.write(bytes, path: header.path)
            digest?.update(bytes)
            position = offset + UInt64(bytes.count)
        }
        if position < header.size {
            addZeros(header.size - position, to: &digest)
            guard ftruncate(raw, Int(header.size)) == 0 else { throw SystemError("extend", path: header.path) }
        }
        try attributes.apply(header, to: .descriptor(raw), raw, inherits: inherits)
        counted.files += 1
        counted.bytes += header.size
        return digest?.finish()
    }

    private func addZeros(_ count: UInt64, to digest: inout RunningSHA256?) {
        var rest = count
        while rest > 0, digest != nil {
            let piece = min(rest, UInt64(zeros.count))
            zeros.withUnsafeBytes { digest?.update(UnsafeRawBufferPointer(rebasing: $0[..<Int(piece)])) }
            rest -= piece
        }
    }
}
