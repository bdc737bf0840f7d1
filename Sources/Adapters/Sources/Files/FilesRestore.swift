// SPDX-License-Identifier: Apache-2.0
import Archiving
import ByteStreams
import Domain
import FileSystem
import Glibc

/// One restore of a `files` source.
struct FilesRestore: Sendable {
    let restore: SourceRestore
    let stream: any StoredStream
    let members: EffectiveMembers
    let selection: TreeSelection
    /// Those with something to restore.
    let roots: [RestoreRoot]
    let storesDevices: Bool
    let beforeStep: (@Sendable (String) throws -> Void)?

    init(
        _ restore: SourceRestore, below folder: String = "", storesDevices: Bool,
        beforeStep: (@Sendable (String) throws -> Void)?
    ) throws {
        self.restore = restore
        self.storesDevices = storesDevices
        self.beforeStep = beforeStep
        stream = try restore.stream(FilesAdapter.stream)
        members = try EffectiveMembers(stream)
        selection = try TreeSelection(
            members, include: try PathPatterns(restore.include), includesDevices: storesDevices)
        let all = try RestoreRoot.all(of: restore, below: folder)
        let touched = try Self.touched(all, members, selection)
        roots = zip(all, touched).filter { $0.1 }.map { $0.0 }
    }

    /// Which roots have something to restore.
    private static func touched(
        _ roots: [RestoreRoot], _ members: EffectiveMembers, _ selection: TreeSelection
    ) throws -> [Bool] {
        var touched = roots.map { _ in false }
        var index = 0
        try members.forEach { origin, member, cursor in
            guard selection.isChosen(origin, member) else { return }
            let path = cursor.path
            // Roots and members are both in walk order.
            while index < roots.count, !(path == roots[index].member || path.isBelow(roots[index].member)),
                WalkOrder.compare(roots[index].member, path) < 0
            { index += 1 }
            if index < roots.count, path == roots[index].member || path.isBelow(roots[index].member) {
                touched[index] = true
            } else if !roots.contains(where: { $0.member.isEmpty }) {
                throw Failure(.integrity, "'\(PathText.display(path))' is outside of the source's paths")
            }
        }
        return touched
    }

    /// The chosen members below a root.
    func mergeList(of root: RestoreRoot) throws -> [MergeList.Member] {
        var members: [MergeList.Member] = []
        try forEachMember(of: root) { path, kind in
            if !path.isEmpty { members.append(MergeList.Member(path: path, isDirectory: kind == .directory)) }
        }
        return members
    }

    /// Calls `body` with every chosen member of a root: its path relative to the root (empty: the root) and its kind.
    func forEachMember(of root: RestoreRoot, _ body: ([UInt8], TreeMember.Kind) throws -> Void) throws {
        try members.forEach { origin, index, cursor in
            guard selection.isChosen(origin, index) else { return }
            let path = cursor.path
            if path == root.member {
                try body([], cursor.kind)
            } else if path.isBelow(root.member) {
                try body(Array(path[(root.member.count + 1)...]), cursor.kind)
            }
        }
    }

    /// Whether chosen members go into the live tree one by one. A root that is itself chosen is exchanged as a whole.
    func merges(_ root: RestoreRoot) throws -> Bool {
        guard !restore.include.isEmpty, root.isDirectory else { return false }
        var isWhole = false
        try members.forEach { origin, index, cursor in
            if cursor.withPath({ $0.elementsEqual(root.member) }) {
                isWhole = (origin == .own ? selection.own[index] : selection.base[index]) == .wanted
            }
        }
        guard !isWhole else { return false }
        return try FileStatus.find(Array(root.path.utf8)) != nil
    }

    /// Extracts beside every root.
    func stage(_ journal: any RestoreJournal) async throws {
        guard !roots.contains(where: { $0.name.isEmpty }) else { throw Self.rootOfAll }
        if let earlier = try RestoreState(await journal.recorded) {
            try await FilesEnding(restore.place, beforeStep).abandon(earlier, journal)
        }
        var state = RestoreState(
            phase: .staging,
            roots: try roots.map {
                RestoreState.Root(path: $0.path, merges: try merges($0), madeParents: try Self.missing(above: $0))
            })
        try await journal.record(state.value)
        let roots = roots
        let destinations = try await Blocking.run {
            try roots.map { root in
                try TreeRestore.makeDirectories(root.parent)
                return ExtractionDestination(
                    prefix: root.member, directory: try root.place.openParent(), name: Array(root.stage.utf8))
            }
        }
        for root in roots { await journal.note("extracting to \(root.parent)/\(root.stage)") }
        let (report, attributes) = try await TreeExtraction(
            stream: stream, members: members, selection: selection, destinations: destinations,
            rules: ExtractionRules(allowsDevices: storesDevices)
        ).run()
        try await Blocking.run { try attributes.write(to: MemberAttributes.path(in: restore.place)) }
        for notice in TreeRestoreReport.notices(report) { await journal.note(notice) }
        for index in roots.indices {
            let status = try FileStatus.find(Array(roots[index].stage.utf8), in: destinations[index].directory.raw)
            guard let status else {
                throw Failure(.integrity, "the bundle has nothing for '\(roots[index].path)'")
            }
            state.roots[index].staged = status.inode
        }
        state.phase = .staged
        try await journal.record(state.value)
    }

    private static func missing(above root: RestoreRoot) throws -> [String] {
        var missing: [String] = []
        var prefix = ""
        for part in root.parent.split(separator: "/") {
            prefix += "/\(part)"
            // A link on the way counts as there.
            if try FileStatus.find(Array(prefix.utf8)) == nil { missing.append(prefix) }
        }
        return missing
    }

    static let rootOfAll = Failure(
        .restoreBlocked, "the root of the file system cannot be exchanged",
        hint: "Use '--include' for parts of it, or '--to-directory' to write it elsewhere.")
}

extension TreeSelection {
    /// Whether a member is extracted to stay.
    func isChosen(_ origin: EffectiveMembers.Origin, _ index: Int) -> Bool {
        let choice = origin == .own ? own[index] : base[index]
        return choice == .wanted || choice == .leading
    }
}
