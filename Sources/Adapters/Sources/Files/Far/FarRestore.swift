// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Synchronization

/// One restore of a `files` source beside what a transport reaches.
struct FarRestore: Sendable {
    let files: FilesRestore
    let host: FarHost

    private var restore: SourceRestore { files.restore }

    /// What is at a root.
    private struct Survey: Sendable {
        var kind: String
        var inode: UInt64?
        var isMounted: Bool
        var free: UInt64
        var isWritable: Bool
        var missing: [String]

        /// What is in it is exchanged.
        var isInside: Bool { isMounted && kind == "directory" }
    }

    private func survey(_ path: String) async throws -> Survey {
        let text = try await host.output(FarScripts.survey, [path])
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count >= 5, let free = UInt64(lines[3]) else {
            throw Failure(.restoreFailed, "\(host.transport.description): the look at '\(path)' gave nothing readable")
        }
        return Survey(
            kind: lines[0], inode: UInt64(lines[1]), isMounted: lines[2] == "mounted", free: free,
            isWritable: lines[4] == "writable", missing: lines.dropFirst(5).filter { !$0.isEmpty })
    }

    /// Whether chosen members would go into a live tree one by one.
    private func merges(_ root: RestoreRoot, _ live: Survey) throws -> Bool {
        guard !restore.include.isEmpty, root.isDirectory, live.kind != "none" else { return false }
        var isWhole = false
        try files.members.forEach { origin, index, cursor in
            if cursor.withPath({ $0.elementsEqual(root.member) }) {
                isWhole =
                    (origin == .own ? files.selection.own[index] : files.selection.base[index]) == .wanted
            }
        }
        return !isWhole
    }

    /// Why a root cannot be restored; nil when it can.
    private func blocker(_ root: RestoreRoot, _ live: Survey) throws -> String? {
        if root.name.isEmpty { return FilesRestore.rootOfAll.summary }
        if try merges(root, live), live.kind != "directory" { return "'\(root.path)' is no directory now" }
        if live.isMounted, !live.isInside { return "'\(root.path)' is a mounted file and cannot be exchanged" }
        if live.isInside, !root.isDirectory { return "'\(root.path)' is a mounted directory now" }
        if !live.isWritable, !live.isInside { return "the folder of '\(root.path)' may not be written" }
        return nil
    }

    // MARK: Plan

    /// What the restore would do; only reads.
    func plan() async throws -> SourceRestorePlan {
        var plan = SourceRestorePlan(
            target: "files at " + files.roots.map(\.path).joined(separator: ", ")
                + " of \(host.transport.description)", origin: "files of bundle \(restore.bundle)")
        plan.bytesNeeded = files.selection.counts.bytes
        let tools = try await host.tools()
        for root in files.roots {
            let live = try await survey(root.path)
            let merges = try merges(root, live)
            if let blocker = try blocker(root, live) {
                plan.blockers.append(blocker)
            } else if merges {
                plan.blockers += try await FarMerge(host: host, path: root.path).conflicts(
                    try files.mergeList(of: root))
            }
            add(root, live, merges: merges, to: &plan)
            plan.bytesFree = min(plan.bytesFree ?? live.free, live.free)
        }
        if let free = plan.bytesFree, free < files.selection.counts.bytes {
            plan.blockers.append("\(files.selection.counts.bytes) bytes are needed and \(free) are free")
        }
        if !tools.isRoot { plan.warnings.append("not root there: files will belong to user \(tools.userID)") }
        if files.selection.skippedDevices > 0 {
            plan.warnings.append("\(files.selection.skippedDevices) devices are not made (set 'devices: store')")
        }
        if !plan.replaces.isEmpty {
            plan.warnings.append("programs that hold files of the old tree open keep the old ones until they restart")
        }
        return plan
    }

    private func add(_ root: RestoreRoot, _ live: Survey, merges: Bool, to plan: inout SourceRestorePlan) {
        let place = FarPlace(
            path: root.path, restoreID: restore.restoreID, isInside: live.isInside, merges: merges)
        plan.steps.append(.init("stage", "extract to \(place.stage)", command: "tar --extract"))
        plan.steps.append(
            .init("verify", "compare every file below \(place.stage) with the bundle", command: "find, sha256sum"))
        plan.creates.append(place.stage)
        if merges {
            plan.steps.append(
                .init(
                    "promote", "put the chosen files into \(root.path), the old ones to \(place.before)",
                    command: "ln, mv"))
            plan.replaces.append("chosen files in \(root.path)")
        } else if live.isInside {
            plan.steps.append(
                .init(
                    "promote", "move what is in \(root.path) to \(place.before), and the copy's files in", command: "mv"
                ))
            plan.replaces.append("everything in the mount point \(root.path)")
            plan.warnings.append("'\(root.path)' is a mount point: its files are exchanged one after the other")
        } else if live.kind != "none" {
            plan.steps.append(
                .init(
                    "promote", "exchange \(root.path) and the copy, keep the old one as \(place.before)",
                    command: "mv --exchange, or two renames"))
            plan.replaces.append("\(live.kind) \(root.path)")
        } else {
            plan.steps.append(.init("promote", "move the copy to \(root.path)", command: "mv"))
            plan.creates.append(root.path)
        }
    }

    // MARK: Stage

    /// Extracts beside every root.
    func stage(_ journal: any RestoreJournal) async throws {
        if try RestoreState(await journal.recorded) != nil {
            try await FarEnding(host: host, place: restore.place).abandon(journal)
        }
        let tools = try await host.tools()
        var state = RestoreState(phase: .staging, roots: [])
        for root in files.roots {
            let live = try await survey(root.path)
            if let blocker = try blocker(root, live) { throw Failure(.restoreBlocked, blocker) }
            state.roots.append(
                RestoreState.Root(
                    path: root.path, merges: try merges(root, live), old: live.inode, madeParents: live.missing,
                    isInside: live.isInside))
        }
        try await journal.record(state.value)
        var prefixes: [FarTree.Prefix] = []
        for (root, part) in zip(files.roots, state.roots) {
            let place = FarPlace(part, restore.restoreID)
            if part.merges {
                try await host.output(FarMergeScripts.prepare, [place.stageFolder])
            } else {
                try await host.output(FarScripts.prepare, [place.stage, place.folder])
            }
            await journal.note("extracting to \(place.stage) of \(host.transport.description)")
            prefixes.append(FarTree.Prefix(member: root.member, place: Array(place.stage.utf8.dropFirst())))
        }
        let (notices, attributes) = try await FarTree(
            stream: files.stream, members: files.members, selection: files.selection, prefixes: prefixes,
            storesDevices: files.storesDevices
        ).write(to: host, isRoot: tools.isRoot)
        try await Blocking.run { try attributes.write(to: MemberAttributes.path(in: restore.place)) }
        for notice in notices { await journal.note(notice) }
        for index in state.roots.indices {
            let part = state.roots[index]
            let place = FarPlace(part, restore.restoreID)
            let text = try await host.output(FarScripts.staged, [place.stage])
            state.roots[index].staged = UInt64(text.trimmingNewlines)
        }
        state.phase = .staged
        try await journal.record(state.value)
    }

    // MARK: Verify

    /// Holds the staged copies against the member lists: what `find` tells and what `sha256sum` computes there.
    func verify(_ journal: any RestoreJournal) async throws -> [FactComparison] {
        guard let state = try RestoreState(await journal.recorded), state.phase == .staged else {
            throw Failure(.restoreFailed, "restore \(restore.restoreID) is not staged")
        }
        let tools = try await host.tools()
        var listings: [(listing: FarListing, stage: [UInt8], member: [UInt8])] = []
        var digests: [[UInt8]: SHA256Digest] = [:]
        let none = try PathPatterns([])
        for (root, part) in zip(files.roots, state.roots) {
            let place = FarPlace(part, restore.restoreID)
            let listed = try await host.list(place.stage, oneFileSystem: false, allowed: none)
            let stage = Array(place.stage.utf8.dropFirst())
            listings.append((listed.listing, stage, root.member))
            for (path, digest) in try await FarDigests.compute(below: place.stage, host) {
                digests[root.member + path.dropFirst(stage.count)] = digest
            }
        }
        let expected = try await Blocking.run { try files.expectation() }
        let far = try await attributes(expected, listings.map { FarTree.Prefix(member: $0.member, place: $0.stage) })
        let (looked, known) = (listings, digests)
        let (differences, found, notHeld) = try await CancellationFlag.run { flag in
            let attributes = AttributeVerification(expected.attributes, isRoot: tools.isRoot, far: far)
            let verification = try TreeVerification(
                expected.members, attributes, comparesOwners: tools.isRoot, flag: flag
            ) { path in
                guard let digest = known[path] else {
                    throw Failure(.verifyFailed, "no digest of '/\(PathText.display(path))' was computed")
                }
                return digest
            }
            for look in looked { try Self.visit(look.listing, look.stage, look.member, verification) }
            try verification.end()
            return (verification.differences, verification.counts, attributes.summary)
        }
        for words in notHeld { await journal.note("not as captured: \(words)") }
        return files.recorded(expected).compared(with: found.facts) + differences
    }

    /// What those staged files have that are to have attributes, by the members' names.
    private func attributes(
        _ expected: FilesRestore.Expectation, _ prefixes: [FarTree.Prefix]
    ) async throws -> AttributeVerification.Far {
        var members: [[UInt8]: [UInt8]] = [:]
        var cursor = expected.members.makeCursor()
        var reader = MemberAttributes.Reader(expected.attributes.entries)
        var place = 0
        while try cursor.advance() {
            if !reader.entries(of: place).isEmpty {
                let path = cursor.path
                for prefix in prefixes { if let place = prefix.place(of: path) { members[place] = path } }
            }
            place += 1
        }
        let found = try await FarAttributes.look(at: Array(members.keys), host)
        return Dictionary(found.map { (members[$0] ?? $0, $1) }, uniquingKeysWith: { $1 })
    }

    /// Shows the files of a stage to the verification under the names that they will have.
    private static func visit(
        _ listing: FarListing, _ stage: [UInt8], _ member: [UInt8], _ verification: TreeVerification
    ) throws {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1) { name in
            name[0] = 0
            guard let noName = UnsafePointer(name.baseAddress) else { return }
            try listing.forEach { path, entry in
                let name = member + path.dropFirst(stage.count)
                try name.withUnsafeBufferPointer {
                    try verification.visit(
                        WalkedFile(root: 0, path: $0, directory: -1, name: noName, status: entry.status))
                }
            }
        }
    }
}

/// Digests of far files.
enum FarDigests {
    /// By path without the leading slash.
    static func compute(below path: String, _ host: FarHost) async throws -> [[UInt8]: SHA256Digest] {
        let script = "find \"$1\" -type f -print0 | xargs -0 -r sha256sum --zero --binary --"
        let box = Mutex<[UInt8]>([])
        let program = FarHost.script(script, [path])
        let (_, exit) = try await host.transport.stream(program) { chunk in
            box.withLock { $0.append(contentsOf: chunk) }
        }
        guard exit.isSuccess, exit.standardError.isEmpty else {
            throw Failure(
                .restoreFailed, "\(host.transport.description): sha256sum failed (\(exit.status)): \(exit.lastWords)")
        }
        let text = box.withLock { $0 }
        return try await Blocking.run {
            var digests: [[UInt8]: SHA256Digest] = [:]
            for record in text.split(separator: 0) {
                // 64 digits, a blank, a star, the path.
                guard record.count > 66, record[record.startIndex + 66] == UInt8(ascii: "/"),
                    let digest = SHA256Digest(hexadecimal: String(decoding: record.prefix(64), as: UTF8.self))
                else { throw Failure(.restoreFailed, "the far 'sha256sum' printed a line that cannot be read") }
                digests[Array(record.dropFirst(67))] = digest
            }
            return digests
        }
    }
}
