// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem

/// Takes far trees into one tar: everything, or what changed since a base. `find` tells what there is, the rules for what
/// counts and what has changed are applied here, and `tar` sends what is to be stored, in our order.
struct FarCapture: Sendable {
    let host: FarHost
    let settings: FilesSettings

    /// What there is to do.
    private struct Work: Sendable {
        /// By root: what is stored.
        var wanted: [[FarPacker.Wanted]]
        /// By root: the far clock before the look.
        var begun: [Int64]
        var deletions: [[UInt8]] = []
        /// What the base has already.
        var kept = TreeCounts()
        var unchanged = 0
        var unchangedBytes: UInt64 = 0
        var isIncremental: Bool
        var notices: Notices
    }

    /// What a packer found out.
    private struct Packed: Sendable {
        var length: UInt64
        var members: MemberTable
        var counts: TreeCounts
        var missing: [[UInt8]]
        var warnings: [String]
    }

    func run(into sink: any ByteSink, base: TreeBase?) async throws -> TreeCapture.Outcome {
        var listed: [FarHost.Listed] = []
        for path in settings.paths {
            listed.append(
                try await host.list(
                    path, oneFileSystem: settings.walking.oneFileSystem, allowed: settings.walking.allowedUnreadable))
        }
        let looked = listed
        let work = try await Blocking.run { try plan(looked, base) }
        let (packed, complaints) = try await transfer(work, into: sink)
        return try conclude(work, packed, complaints)
    }

    private func plan(_ listed: [FarHost.Listed], _ base: TreeBase?) throws -> Work {
        let comparison = try base.map { try BaseComparison($0.members, evidence: .status) }
        var selection = FarSelection(settings.walking, storesDevices: settings.storesDevices)
        defer { selection.end() }
        var notices = Notices()
        var all: [[FarPacker.Wanted]] = []
        for (index, look) in listed.enumerated() {
            notices.add(look.notices)
            let path = TreeRoot(path: settings.paths[index]).member
            var wanted: [FarPacker.Wanted] = []
            var isStored: [Bool] = []
            /// Unchanged directories from the root down to where the walk is, by their place in `wanted`.
            var above: [Int] = []
            try selection.forEach(look.listing, root: index, of: path) { file in
                let name = Array(file.path)
                while let last = above.last, !name.isBelow(wanted[last].path) { above.removeLast() }
                let isUnchanged = try comparison?.isUnchanged(file) ?? false
                let isDirectory = file.status.kind == .directory
                guard isUnchanged else {
                    // Who extracts by hand writes into the directory, and only its member then puts its time right.
                    if !isDirectory, let parent = above.last, !isStored[parent],
                        name.lastIndex(of: UInt8(ascii: "/")) == wanted[parent].path.count
                    {
                        isStored[parent] = true
                        comparison?.forgetDirectories(1)
                    }
                    let link = file.status.kind == .file ? comparison?.keptPath(of: file.status) : nil
                    wanted.append(.init(path: name, status: file.status, linkTarget: link))
                    isStored.append(true)
                    return
                }
                guard isDirectory else { return }
                above.append(wanted.count)
                wanted.append(.init(path: name, status: file.status))
                isStored.append(false)
            }
            all.append(zip(wanted, isStored).filter(\.1).map(\.0))
        }
        try comparison?.finish()
        notices.add(selection.notices)
        return Work(
            wanted: all, begun: listed.map(\.listing.begun), deletions: comparison?.deletions ?? [],
            kept: comparison?.counts ?? TreeCounts(), unchanged: comparison?.unchanged ?? 0,
            unchangedBytes: comparison?.unchangedBytes ?? 0, isIncremental: base != nil, notices: notices)
    }

    /// Fetches root by root while one thread packs.
    private func transfer(_ work: Work, into sink: any ByteSink) async throws -> (Packed, FarComplaints) {
        let sources = work.wanted.map { _ in PushedSource() }
        return try await withTaskCancellationHandler {
            async let packed = CancellationFlag.run { flag in
                defer { for source in sources { source.close() } }
                return try pack(work, sources, sink, flag)
            }
            var complaints = FarComplaints("", of: "tar")
            do {
                for (index, wanted) in work.wanted.enumerated() {
                    let paths = wanted.filter { $0.linkTarget == nil }.map(\.path)
                    if !paths.isEmpty { complaints.add(try await fetch(paths, to: sources[index])) }
                    sources[index].finish()
                }
            } catch {
                for source in sources { source.fail(error) }
                do { _ = try await packed } catch let reason {
                    // When the packer could not go on, the far 'tar' only lost its reader.
                    if error is PushedSource.ReaderGone { throw reason }
                }
                throw error
            }
            return (try await packed, complaints)
        } onCancel: {
            for source in sources { source.fail(CancellationError()) }
        }
    }

    private func pack(
        _ work: Work, _ sources: [PushedSource], _ sink: any ByteSink, _ flag: CancellationFlag
    ) throws -> Packed {
        do {
            let packer = try FarPacker(into: sink, flag)
            if work.isIncremental {
                try packer.packUnlisted(
                    path: TreeCapture.deletionList, content: TreeCapture.listing(work.deletions))
            }
            for (index, wanted) in work.wanted.enumerated() {
                try packer.pack(wanted, from: sources[index], begun: work.begun[index])
            }
            let length = try packer.finish()
            return Packed(
                length: length, members: packer.table, counts: packer.counts, missing: packer.missing,
                warnings: packer.warnings)
        } catch let error as ArchiveError {
            throw Failure(.sourceFailed, "the far 'tar' sent something that cannot be stored: \(error)")
        }
    }

    /// Runs the far `tar` for these members of one root.
    private func fetch(_ paths: [[UInt8]], to source: PushedSource) async throws -> FarComplaints {
        let program = FarHost.program(
            "tar",
            [
                "--create", "--file=-", "--format=posix", "--sparse", "--xattrs", "--xattrs-include=*",
                "--quoting-style=literal", "--directory=/",
                // These count for the names after them only.
                "--no-recursion", "--null", "--verbatim-files-from", "--files-from=-",
            ])
        let (_, exit) = try await host.transport.run(program) { pipes in
            async let fed: Void = Blocking.run {
                // A 'tar' that ends early says why; a broken pipe would hide it.
                do {
                    for path in paths { try (path + [0]).withUnsafeBytes { try pipes.write($0) } }
                } catch is Failure {}
                try pipes.closeInput()
            }
            try await Blocking.run { _ = try pipes.forEachChunk { try source.write($0) } }
            try await fed
        }
        let complaints = FarComplaints(exit.standardError, of: "tar")
        // 1: something changed while it was read; 2: something could not be read. Which, is in the complaints.
        let isExplained = complaints.isWhole && complaints.other.isEmpty
        guard exit.isSuccess || (isExplained && [.exited(1), .exited(2)].contains(exit.status)) else {
            throw Failure(
                .sourceFailed,
                "\(host.transport.description): tar failed (\(exit.status)): "
                    + (complaints.other.first ?? exit.lastWords))
        }
        return complaints
    }

    private func conclude(
        _ work: Work, _ packed: Packed, _ complaints: FarComplaints
    ) throws -> TreeCapture.Outcome {
        var notices = work.notices
        for path in complaints.changed.sorted(by: { WalkOrder.compare($0, $1) < 0 }) {
            let text = "'/\(PathText.display(path))' changed while it was read"
            if settings.packing.failsOnChange {
                throw Failure(
                    .sourceChanged, text,
                    hint: "Take the copy from a snapshot, exclude the file, or set 'on-change: report'.")
            }
            notices.add(text)
        }
        try complaints.requireAllowed(settings.packing.allowedUnreadable, &notices)
        for path in packed.missing where !complaints.denied.contains(path) {
            guard complaints.vanished.contains(path) else {
                throw Failure(.sourceFailed, "the far 'tar' left out '/\(PathText.display(path))' without a word")
            }
            notices.add("'/\(PathText.display(path))' vanished before it was read")
        }
        for warning in packed.warnings { notices.add(warning) }
        for words in complaints.other { notices.add("tar: \(words)") }
        var counts = packed.counts
        counts.add(work.kept)
        var deletions = work.deletions
        if work.isIncremental, !packed.missing.isEmpty {
            deletions = (deletions + packed.missing).sorted { WalkOrder.compare($0, $1) < 0 }
        }
        return TreeCapture.Outcome(
            end: TreeEnd(
                length: packed.length, members: packed.members, deletions: deletions, unchanged: work.unchanged,
                unchangedBytes: work.unchangedBytes), counts: counts, notices: notices.all,
            vanished: packed.missing.count)
    }
}

extension FarComplaints {
    /// Those of one more root.
    mutating func add(_ more: FarComplaints) {
        vanished.formUnion(more.vanished)
        denied.formUnion(more.denied)
        changed.formUnion(more.changed)
        other += more.other
        isWhole = isWhole && more.isWhole
    }
}
