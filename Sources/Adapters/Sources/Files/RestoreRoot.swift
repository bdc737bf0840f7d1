// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem

/// Where one root of a restore goes, and the names made beside it: known from its path alone.
struct RootPlace: Sendable, Equatable {
    /// Absolute path of the target.
    var path: String
    var parent: String
    var name: String
    /// Beside the target: the restored copy until it is promoted.
    var stage: String
    /// Beside the target: what was there, once it is promoted.
    var before: String

    init(path: String, restoreID: String) {
        self.path = path
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        parent = slash == path.startIndex ? "/" : String(path[..<slash])
        name = String(path[path.index(after: slash)...])
        // A name may have 255 bytes; the ids keep shortened ones apart from each other within one restore only when
        // their beginnings differ, so what is shortened carries its length.
        let bytes = Array(name.utf8)
        let short = bytes.count <= 180 ? name : String(decoding: bytes.prefix(160), as: UTF8.self) + "~\(bytes.count)"
        stage = ".\(short).salvor-\(restoreID)"
        before = ".\(short).before-\(restoreID)"
    }

    /// The directory that holds all three names.
    func openParent() throws -> Descriptor {
        try Descriptor.directory(Array(parent.utf8), followingLinks: true)
    }
}

/// One root of a restore, as the bundle has it.
struct RestoreRoot: Sendable, Equatable {
    /// Names of its members begin with this.
    var member: [UInt8]
    var isDirectory: Bool
    var place: RootPlace

    init(member: [UInt8], path: String, isDirectory: Bool, restoreID: String) {
        self.member = member
        self.isDirectory = isDirectory
        place = RootPlace(path: path, restoreID: restoreID)
    }

    var path: String { place.path }
    var parent: String { place.parent }
    var name: String { place.name }
    var stage: String { place.stage }
    var before: String { place.before }

    /// The staged copy as a place to walk.
    var staged: TreeRoot { TreeRoot(member: member, at: Array("\(parent)/\(stage)".utf8)) }

    /// The roots that the bundle's copy has, at their old places (below `folder`, an absolute path, unless it is empty) or the
    /// one asked for.
    ///
    /// - Throws: `Failure(.integrity)` when the bundle does not say, `Failure(.usage)` for an impossible new place.
    static func all(of restore: SourceRestore, below folder: String = "") throws -> [RestoreRoot] {
        guard let list = restore.contents.restoreData["roots"]?.array, !list.isEmpty else {
            throw Failure(.integrity, "the bundle does not say which paths source '\(restore.contents.name)' had")
        }
        let roots = try list.map { entry -> RestoreRoot in
            guard let path = entry["path"]?.string.flatMap(FilesSettings.normalized), let kind = entry["kind"]?.string
            else {
                throw Failure(.integrity, "the bundle names an impossible path of source '\(restore.contents.name)'")
            }
            return RestoreRoot(
                member: Array(path.utf8.dropFirst()), path: folder + path, isDirectory: kind == "directory",
                restoreID: restore.restoreID)
        }
        guard let rename = restore.rename else { return roots }
        guard roots.count == 1, let path = FilesSettings.normalized(rename), path != "/" else {
            throw Failure(
                .usage,
                roots.count == 1 ? "'\(rename)' is no absolute path" : "only a source of one path can be renamed",
                hint: "Use '--to-directory' to write the files elsewhere.")
        }
        return [
            RestoreRoot(
                member: roots[0].member, path: path, isDirectory: roots[0].isDirectory, restoreID: restore.restoreID)
        ]
    }
}

/// What the journal knows of a restore.
struct RestoreState: Sendable, Equatable {
    /// How far it is.
    enum Phase: String, Sendable {
        /// The stage is being written.
        case staging
        case staged
        case promoting
        case promoted
        /// The old state is back; only what is beside it is left to remove.
        case clearing
    }

    /// One root's part.
    struct Root: Sendable, Equatable {
        var path: String
        /// Chosen members go into the live tree one by one; otherwise the whole root is exchanged.
        var merges: Bool
        /// Inode of the staged copy's top, once it is complete.
        var staged: UInt64?
        /// Inode of what lived at the target when it was promoted; nil: nothing did.
        var old: UInt64?
        /// Directories made above the target, outermost first.
        var madeParents: [String]
        /// What is in the root is exchanged, not the root itself, which is a mount point.
        var isInside = false
    }

    var phase: Phase
    var roots: [Root]

    init(phase: Phase, roots: [Root]) {
        self.phase = phase
        self.roots = roots
    }

    /// Reads a record; nil when there is none yet.
    ///
    /// - Throws: `Failure(.stateDamaged)`.
    init?(_ value: JSONValue) throws {
        if value == .null { return nil }
        let damage = Failure(.stateDamaged, "the journal of the restore is damaged")
        guard let phase = value["phase"]?.string.flatMap(Phase.init), let list = value["roots"]?.array else {
            throw damage
        }
        self.phase = phase
        roots = try list.map { entry in
            guard let path = entry["path"]?.string, let merges = entry["merges"]?.bool,
                let parents = entry["made-parents"]?.array
            else { throw damage }
            return Root(
                path: path, merges: merges, staged: entry["staged"]?.string.flatMap { UInt64($0) },
                old: entry["old"]?.string.flatMap { UInt64($0) }, madeParents: parents.compactMap(\.string),
                isInside: entry["inside"]?.bool ?? false)
        }
    }

    /// The record.
    var value: JSONValue {
        func inode(_ number: UInt64?) -> JSONValue { number.map { .string(String($0)) } ?? .null }
        return [
            "phase": .string(phase.rawValue),
            "roots": .array(
                roots.map {
                    [
                        "path": .string($0.path), "merges": .bool($0.merges), "staged": inode($0.staged),
                        "old": inode($0.old), "made-parents": .array($0.madeParents.map { .string($0) }),
                        "inside": .bool($0.isInside),
                    ]
                }),
        ]
    }
}
