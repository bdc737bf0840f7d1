// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite struct DirectoryStoreTests {
    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test("Nobody else may look into a repository, and nothing temporary stays")
    func modes() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder("repository/"))
        #expect(store.location == "file://\(folder("repository"))")
        try await store.put("a/b/c", [1, 2, 3])
        _ = await failure { try await store.put("a/b/c", [4], condition: .ifAbsent) }
        for path in ["repository", "repository/a", "repository/a/b", "repository/.tmp"] {
            #expect(try mode(folder(path)) == 0o700, "\(path)")
        }
        #expect(try mode(folder("repository/a/b/c")) == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("repository/.tmp")) == [])
    }

    @Test("Deleting removes the folders that become empty, and only those")
    func emptyFolders() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder.path)
        try await store.put("a/b/c", [1])
        try await store.put("a/d", [1])
        try await store.delete("a/b/c")
        #expect(!FileManager.default.fileExists(atPath: folder("a/b")))
        #expect(try await store.get("a/d") == [1])
        try await store.delete("a/d")
        #expect(!FileManager.default.fileExists(atPath: folder("a")))
        #expect(FileManager.default.fileExists(atPath: folder.path))
    }

    @Test("Putting into a folder that is emptied at the same time works")
    func putAgainstDelete() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder.path)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<12 {
                group.addTask {
                    for round in 0..<100 {
                        let key = "x/y/z/\(worker)-\(round)"
                        try await store.put(key, [1], condition: .ifAbsent)
                        try await store.delete(key)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.list("") == [])
    }

    @Test("A missing directory is not an empty repository, and a missing parent is an unmounted disk")
    func missing() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder("disk/repository"))
        let operations: [() async throws -> Void] = [
            { _ = try await store.get("a") }, { _ = try await store.size(of: "a") }, { _ = try await store.list("") },
            { _ = try await store.folders(under: "") }, { try await store.delete("a") },
            { try await store.put("a", [1]) },
        ]
        for operation in operations {
            let failure = await failure(of: operation)
            #expect(failure?.code == .storageUnreachable)
            #expect(failure?.summary.contains("\(folder("disk/repository")) is not there") == true)
        }
        try FileManager.default.createDirectory(atPath: folder("disk"), withIntermediateDirectories: true)
        try await store.put("a", [1])
        #expect(try await store.list("").map(\.key) == ["a"])
    }

    @Test("What is not an object is neither listed nor read: links, pipes, temporary files, a volume's own folder")
    func foreignFiles() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder.path)
        try await store.put("real/object", [1])
        try folder.write(".tmp/1-half-written", "half")
        try folder.write("lost+found/inode", "x")
        try folder.write("outside", "secret")
        try FileManager.default.createSymbolicLink(atPath: folder("real/link"), withDestinationPath: folder("outside"))
        mkfifo(folder("real/pipe"), 0o600)
        #expect(try await store.list("").map(\.key) == ["outside", "real/object"])
        #expect(try await store.list("real/").map(\.key) == ["real/object"])
        #expect(try await store.list(".").isEmpty)
        #expect(try await store.folders(under: "") == ["real"])
        #expect(await failure { _ = try await store.get("real/link") } != nil)
        #expect(await failure { _ = try await store.get("real") }?.code == .objectNotFound)
        #expect(await failure { try await store.put(".tmp/x", [1]) } != nil)
        #expect(await failure { try await store.put("real/object/below", [1]) }?.code == .storageFailed)
        #expect(await failure { try await store.put("real", [1]) }?.code == .storageFailed)
    }

    @Test("What killed runs left is removed after a day")
    func abandoned() async throws {
        let folder = try TemporaryDirectory("store")
        try folder.write(".tmp/old", "x")
        try folder.write(".tmp/young", "x")
        let twoDaysAgo = Date(timeIntervalSinceNow: -2 * 86400)
        try FileManager.default.setAttributes([.modificationDate: twoDaysAgo], ofItemAtPath: folder(".tmp/old"))
        try await DirectoryStore(folder.path).put("a", [1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder(".tmp")) == ["young"])
    }

    @Test("Each error number becomes the failure that helps")
    func errorNumbers() {
        let table: [(Int32, Failure.Code)] = [
            (ENOSPC, .storageFull), (EDQUOT, .storageFull), (EACCES, .storageDenied), (EPERM, .storageDenied),
            (EROFS, .storageDenied), (ENOENT, .storageUnreachable), (ENOTDIR, .storageFailed), (EIO, .storageFailed),
        ]
        for (number, code) in table {
            errno = number
            let failure = ObjectFiles(root: "/srv/backups").failure("writing 'a'")
            #expect(failure.code == code)
            #expect(failure.summary.hasPrefix("/srv/backups"))
            #expect(failure.summary.contains("writing 'a'"))
        }
    }

    @Test("A full disk is told so, and neither the object nor a part of it is there afterwards")
    func fullDisk() async throws {
        // A file system of its own size needs root, as whom the project's checks run; the error's meaning is tested above
        // for everybody.
        guard geteuid() == 0 else { return }
        let folder = try TemporaryDirectory("full")
        try ShortCommand.run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder.path])
        do {
            let store = DirectoryStore(folder.path)
            try await store.put("small", [1, 2, 3])
            let failure = await failure { try await store.put("big/object", [UInt8](repeating: 7, count: 8 << 20)) }
            #expect(failure?.code == .storageFull)
            #expect(failure?.summary == "\(folder.path) is full: writing 'big/object': No space left on device")
            #expect(try await store.list("").map(\.key) == ["small"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder(".tmp")) == [])
            try await store.put("fits", [UInt8](repeating: 7, count: 3 << 20))
        } catch {
            Issue.record(error)
        }
        try ShortCommand.run("umount", [folder.path])
    }

    @Test("A put that is cancelled leaves nothing behind")
    func cancelled() async throws {
        let folder = try TemporaryDirectory("store")
        let store = DirectoryStore(folder.path)
        let task = Task { try await store.put("big/object", [UInt8](repeating: 7, count: 64 << 20)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await store.list("") == [])
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left.isEmpty || left == [".tmp"])
    }
}
