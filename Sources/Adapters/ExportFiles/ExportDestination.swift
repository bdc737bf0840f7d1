// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import FileSystem
import Foundation
import Glibc
import Synchronization

/// Where an export goes.
public enum ExportDestination: Sendable {
    /// A file that has its name only when it is whole and on the disk.
    case file(String, replaces: Bool)
    case standardOutput

    /// For people.
    public var name: String {
        switch self {
        case .file(let path, _): path
        case .standardOutput: "standard output"
        }
    }

    /// Looks beforehand whether it may be written; the same is made sure of at the end.
    ///
    /// - Throws: `Failure(.conflict)`, `Failure(.usage)` for a terminal.
    public func check() throws {
        switch self {
        case .standardOutput:
            guard isatty(STDOUT_FILENO) == 0 else {
                throw Failure(
                    .usage, "an export is not written to a terminal", hint: "Redirect it, or name a file with --to.")
            }
        case .file(let path, let replaces):
            var status = stat()
            guard lstat(path, &status) == 0 else { return }
            guard status.st_mode & S_IFMT != S_IFDIR else {
                throw Failure(.conflict, "'\(path)' is a folder", hint: "Name a file in it.")
            }
            guard replaces else { throw Self.taken(path) }
        }
    }

    static func taken(_ path: String) -> Failure {
        Failure(.conflict, "'\(path)' is there already", hint: "Name another file, or replace it with --force.")
    }

    func open() throws -> ExportOutput {
        try check()
        guard case .file(let path, let replaces) = self else {
            return ExportOutput(descriptor: STDOUT_FILENO, file: nil)
        }
        let url = URL(fileURLWithPath: path)
        let temporary =
            url.deletingLastPathComponent().path + "/.\(url.lastPathComponent).\(BundleID.randomSuffix()).part"
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw SystemError("create", path: temporary.utf8) }
        return ExportOutput(
            descriptor: descriptor, file: .init(path: url.path, temporary: temporary, replaces: replaces))
    }
}

/// The file while it is made.
final class ExportOutput: ByteSink {
    struct File: Sendable {
        var path: String
        var temporary: String
        var replaces: Bool
    }

    private let descriptor: Int32
    private let file: File?
    private let state = Mutex((bytes: UInt64(0), isOpen: true))

    init(descriptor: Int32, file: File?) {
        self.descriptor = descriptor
        self.file = file
    }

    deinit { discard() }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemError("write", path: (file?.temporary ?? "standard output").utf8) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        state.withLock { $0.bytes += UInt64(bytes.count) }
    }

    /// Makes it durable and gives it its name; tells its size.
    func commit() throws -> UInt64 {
        let size = state.withLock { $0.bytes }
        guard let file else { return size }
        try FileSystemSync.one(descriptor, path: Array(file.temporary.utf8))
        if file.replaces {
            try Renaming.replace(file.temporary.utf8, file.path.utf8)
        } else {
            do { try Renaming.moveToFreeName(file.temporary.utf8, file.path.utf8) } catch let error as SystemError
                where error.code == EEXIST
            { throw ExportDestination.taken(file.path) }
        }
        close()
        let folder = URL(fileURLWithPath: file.path).deletingLastPathComponent().path
        let directory = try Descriptor.directory(Array(folder.utf8), followingLinks: true)
        try FileSystemSync.one(directory.raw, path: Array(folder.utf8))
        return size
    }

    /// Removes what was written so far; harmless after `commit`.
    func discard() {
        guard close(), let file else { return }
        unlink(file.temporary)
    }

    @discardableResult
    private func close() -> Bool {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        if wasOpen, file != nil { Glibc.close(descriptor) }
        return wasOpen
    }
}
