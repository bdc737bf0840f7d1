// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem

/// Brings a stream and its base into one tar for a far `tar` to extract: only the bytes that are needed are read, every
/// member is held against the list and every digest compared before the last byte is sent.
struct FarTree: Sendable {
    /// Where members at or below one root go, relative to the root of the file system.
    struct Prefix: Sendable {
        var member: [UInt8]
        var place: [UInt8]

        /// Where `path` goes; nil when it is not below this root.
        func place(of path: [UInt8]) -> [UInt8]? {
            if path == member { return place }
            if member.isEmpty { return place + [UInt8(ascii: "/")] + path }
            return path.isBelow(member) ? place + path.dropFirst(member.count) : nil
        }
    }

    var stream: any StoredStream
    var members: EffectiveMembers
    var selection: TreeSelection
    var prefixes: [Prefix]
    var storesDevices: Bool

    /// One archive to be read.
    private struct Part: Sendable {
        var origin: EffectiveMembers.Origin
        var stream: any StoredStream
        var table: MemberTable
        var choices: [TreeSelection.Choice]
        var ranges: [Range<UInt64>]?
        var source = PushedSource()
    }

    /// Extracts on the far side; returns what is worth telling, and what the members have besides what their list tells.
    ///
    /// - Throws: `Failure(.integrity)` for anything that is not as listed, `Failure(.restoreFailed)` for what cannot be
    ///   written there.
    func write(to host: FarHost, isRoot: Bool) async throws -> (notices: [String], attributes: MemberAttributes) {
        var parts: [Part] = []
        if let base = stream.base, let table = members.base, selection.base.contains(where: { $0 != .skip }) {
            parts.append(
                Part(
                    origin: .base, stream: base, table: table, choices: selection.base,
                    ranges: try TreeSelection.ranges(table, selection.base)))
        }
        if selection.own.contains(where: { $0 != .skip }) {
            parts.append(
                Part(
                    origin: .own, stream: stream, table: members.own, choices: selection.own,
                    ranges: try TreeSelection.ranges(members.own, selection.own)))
        }
        let all = parts
        let owners = isRoot ? ["--same-owner"] : ["--no-same-owner"]
        let program = FarHost.script(
            Self.extraction,
            [
                "--extract", "--file=-", "--directory=/", "--numeric-owner", "--same-permissions",
                "--delay-directory-restore", "--xattrs", "--xattrs-include=*", "--acls",
            ] + owners)
        var (attributes, exit) = try await withTaskCancellationHandler {
            try await host.transport.run(program) { pipes in
                let sink = ClosureSink { try pipes.write($0) }
                async let fed: Void = Self.feed(all)
                let attributes: MemberAttributes
                do {
                    attributes = try await Blocking.run {
                        defer { for part in all { part.source.close() } }
                        let attributes = try pack(all, into: sink)
                        try pipes.closeInput()
                        return attributes
                    }
                } catch {
                    do { try await fed } catch let reason { throw error is PushedSource.ReaderGone ? reason : error }
                    throw error
                }
                try await fed
                return attributes
            }
        } onCancel: {
            for part in all { part.source.fail(CancellationError()) }
        }
        guard exit.isSuccess else {
            let isFull = exit.standardError.contains("No space left on device")
            throw Failure(
                isFull ? .localSpace : .restoreFailed,
                "\(host.transport.description): tar failed (\(exit.status)): \(exit.lastWords)")
        }
        attributes.refused = FarAttributes.refused(exit.standardError)
        return (exit.standardError.split(separator: "\n").prefix(20).map { "tar there says: \($0)" }, attributes)
    }

    /// `tar` with these arguments, and its words without repetitions: of standard error only the last part is kept, and what
    /// a file system does not have is complained about once for every file.
    private static let extraction = """
        r=$({ { tar "$@" 2>&1; echo $? >&4; } | {
            seen=
            while IFS= read -r w; do
                case $w in
                *acl_delete_def_file_at*': Operation not supported') continue ;;
                *': Operation not supported')
                    k=${w%% for file *}
                    case $seen in *"|$k|"*) continue ;; esac
                    seen="$seen|$k|"
                    ;;
                esac
                printf '%s\\n' "$w" >&2
            done
        }; } 4>&1); exit "$r"
        """

    private static func feed(_ parts: [Part]) async throws {
        for part in parts {
            do {
                if let ranges = part.ranges {
                    for range in ranges { try await part.stream.read(range) { try part.source.write($0) } }
                    // Members one after the other are an archive as soon as the end marker follows.
                    try await Blocking.run { try part.source.write([UInt8](repeating: 0, count: 1024)) }
                } else {
                    try await part.stream.read(nil) { try part.source.write($0) }
                }
                part.source.finish()
            } catch {
                for part in parts { part.source.fail(error) }
                throw error
            }
        }
    }

    private func pack(_ parts: [Part], into sink: any ByteSink) throws -> MemberAttributes {
        do {
            var attributes = MemberAttributes()
            let writer = try TarWriter(into: sink)
            var safety = FarNames()
            for part in parts {
                let guide = MemberGuide(part.table, part.choices, isIncremental: part.stream.storage == .incremental) {
                    attributes.add($0, part.origin, member: $1)
                }
                let reader = try TarReader(part.source)
                while let header = try reader.next() {
                    guard case .extract = try guide.decide(header) else { continue }
                    try copy(header, reader, writer, guide, &safety)
                }
                try guide.requireComplete()
            }
            _ = try writer.finish()
            return attributes
        } catch let error as ArchiveError {
            throw Failure(.integrity, "stream '\(stream.name)': \(error)")
        }
    }

    private func copy(
        _ original: TarHeader, _ reader: TarReader, _ writer: TarWriter, _ guide: MemberGuide, _ safety: inout FarNames
    ) throws {
        var header = original
        guard let prefix = prefixes.first(where: { $0.place(of: header.path) != nil }),
            let place = prefix.place(of: header.path)
        else {
            throw Failure(.integrity, "'\(PathText.display(header.path))' is outside of the source's paths")
        }
        header.path = place
        if header.kind == .hardLink {
            guard let target = prefix.place(of: header.linkTarget) else {
                throw Failure(.integrity, "'\(PathText.display(original.path))' is a link out of the source's paths")
            }
            header.linkTarget = target
        }
        try safety.admit(header)
        try writer.begin(header)
        var digest = RunningSHA256()
        if header.kind == .file {
            var position: UInt64 = 0
            let zeros = [UInt8](repeating: 0, count: 64 << 10)
            func fill(to end: UInt64) throws {
                while position < end {
                    let count = Int(min(end - position, UInt64(zeros.count)))
                    try zeros.withUnsafeBytes {
                        let piece = UnsafeRawBufferPointer(rebasing: $0[..<count])
                        digest.update(piece)
                        try writer.write(piece)
                    }
                    position += UInt64(count)
                }
            }
            try reader.readData { offset, bytes in
                guard offset >= position, offset + UInt64(bytes.count) <= header.size else {
                    throw ArchiveError.damaged("a member with more data than its size")
                }
                try fill(to: offset)
                digest.update(bytes)
                try writer.write(bytes)
                position += UInt64(bytes.count)
            }
            try fill(to: header.size)
        }
        try writer.end()
        try guide.finished(original, header.kind == .file ? digest.finish() : nil)
    }
}

/// Refuses names that would lead a far `tar` out of the stage.
struct FarNames {
    private var links: Set<[UInt8]> = []
    private var seen: Set<[UInt8]> = []

    mutating func admit(_ header: TarHeader) throws {
        try admit(header.path, isTarget: false)
        if header.kind == .hardLink {
            try admit(header.linkTarget, isTarget: true)
            // What is not of this archive would be a file of the live system.
            guard seen.contains(header.linkTarget) else { throw refused(header.path, "links to what is not restored") }
        }
        if header.kind == .symbolicLink { links.insert(header.path) }
        if header.kind == .file || header.kind == .hardLink { seen.insert(header.path) }
    }

    private func admit(_ path: [UInt8], isTarget: Bool) throws {
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard !parts.contains(where: { $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) else {
            throw refused(path, "is no plain name")
        }
        guard !links.isEmpty else { return }
        if links.contains(path) { throw refused(path, "is there twice") }
        for index in path.indices where path[index] == UInt8(ascii: "/") && links.contains(Array(path[..<index])) {
            throw refused(path, "leads through a link")
        }
    }

    private func refused(_ path: [UInt8], _ why: String) -> Failure {
        Failure(.integrity, "'\(PathText.display(path))' in the archive \(why)")
    }
}
