// SPDX-License-Identifier: Apache-2.0
public import ByteStreams
public import Domain
import Foundation
import Synchronization

/// A repository in a directory. Folders are made with mode 0700, files with 0600.
///
/// An object is written to `.tmp/`, forced to disk, given its name, and its folder is forced to disk: after a power cut it
/// is there whole or not at all. The directory's parent must exist; a missing one means that something is not mounted.
public struct DirectoryStore: Store {
    /// Objects in each page of a listing.
    private static let pageSize = 1000
    let files: ObjectFiles
    private let tidying = Tidying()

    /// Whether this process has looked for abandoned files in the directory.
    private final class Tidying: Sendable {
        let isDone = Atomic<Bool>(false)
    }

    /// Takes the absolute path of the directory, which is made by the first `put`.
    public init(_ path: String) {
        files = ObjectFiles(root: path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    public var location: String { "file://\(files.root)" }

    /// As the port says. The digest is not computed again: what was written is forced to disk, not read back.
    public func put(_ key: String, _ body: [UInt8], sha256: SHA256Digest, condition: PutCondition) async throws {
        try ObjectFiles.check(key)
        let (files, tidying) = (files, tidying)
        try await CancellationFlag.run { flag in
            if !tidying.isDone.exchange(true, ordering: .relaxed) { try files.removeAbandoned() }
            try files.write(key, body, mayReplace: condition == .none, cancellation: flag)
        }
    }

    public func room() async throws -> UInt64? {
        let root = files.root
        return try await Blocking.run {
            // A folder that is not there is told by whoever needs it.
            (try? FileManager.default.attributesOfFileSystem(forPath: root)[.systemFreeSize] as? NSNumber)?.uint64Value
        }
    }

    public func get(_ key: String, range: Range<UInt64>?) async throws -> [UInt8] {
        try ObjectFiles.check(key)
        let files = files
        return try await CancellationFlag.run { flag in
            try files.read(key, range: range, cancellation: flag)
        }
    }

    public func size(of key: String) async throws -> UInt64? {
        try ObjectFiles.check(key)
        let files = files
        return try await Blocking.run { try files.size(of: key) }
    }

    public func list(_ prefix: String, _ page: @Sendable ([StoredObject]) async throws -> Void) async throws {
        try StoreKey.checkPrefix(prefix)
        var walk = DirectoryWalk(files: files, prefix: prefix)
        while true {
            try Task.checkCancellation()
            let before = walk
            let objects: [StoredObject]
            (objects, walk) = try await Blocking.run {
                var walk = before
                let objects = try walk.next(atMost: Self.pageSize)
                return (objects, walk)
            }
            if objects.isEmpty { return }
            try await page(objects)
        }
    }

    public func folders(under prefix: String) async throws -> [String] {
        try StoreKey.checkFolder(prefix)
        let files = files
        return try await Blocking.run {
            try files.entries(of: String(prefix.dropLast()))
                .filter { entry in
                    guard entry.isDirectory else { return false }
                    // A folder without an object is no folder in a bucket either.
                    var walk = DirectoryWalk(files: files, prefix: "\(prefix)\(entry.name)/")
                    return try !walk.next(atMost: 1).isEmpty
                }
                .map(\.name)
                .sorted(by: StoreKey.areInOrder)
        }
    }

    public func delete(_ key: String) async throws {
        try ObjectFiles.check(key)
        let files = files
        try await Blocking.run { try files.remove(key) }
    }
}
