// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc

/// A file for others to read, replaced as a whole, so that nobody ever reads half of it.
public struct WholeFile: Sendable {
    public let path: String
    private let folder: String
    private let name: String
    private let purpose: String
    private let hint: String
    /// nil: as this process's mask has it.
    private let mode: mode_t?

    /// The file that Prometheus's node exporter reads (`--collector.textfile.directory`); readable for all, since the
    /// exporter is another user.
    public static func metrics(_ path: String) -> WholeFile {
        WholeFile(
            path, purpose: "metrics file",
            hint:
                "Name a file in the folder that the node exporter is told with --collector.textfile.directory, and let "
                + "whoever runs salvor write there.", mode: 0o644)
    }

    /// A page to keep or to send.
    public static func report(_ path: String) -> WholeFile {
        WholeFile(path, purpose: "report", hint: "Name a file in a folder that you may write.", mode: nil)
    }

    private init(_ path: String, purpose: String, hint: String, mode: mode_t?) {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        self.path = url.path
        folder = url.deletingLastPathComponent().path
        name = url.lastPathComponent
        self.purpose = purpose
        self.hint = hint
        self.mode = mode
    }

    /// Writes beside the file and renames; what was there stays when anything fails.
    ///
    /// - Throws: `Failure(.localSpace)` when there is no room, `Failure(.localInput)` otherwise.
    public func write(_ text: String) throws {
        try check()
        // The exporter reads *.prom, and must not see this one.
        let temporary = "\(folder)/.\(name).\(BundleID.randomSuffix())"
        let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode ?? 0o666)
        guard descriptor >= 0 else { throw failure(errno) }
        var isDone = false
        defer {
            close(descriptor)
            if !isDone { unlink(temporary) }
        }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(errno) }
            written += count
        }
        // The process's mask may be stricter than the reader can live with.
        if let mode, fchmod(descriptor, mode) != 0 { throw failure(errno) }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure(errno) }
        isDone = true
    }

    /// Whether the file could be written, as far as can be told by looking.
    ///
    /// - Throws: `Failure(.localInput)`.
    public func check() throws {
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(.localInput, "there is no folder '\(folder)' for the \(purpose) '\(name)'", hint: hint)
        }
        // Renaming over a device or a folder would do harm.
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            throw Failure(.localInput, "'\(path)' is no regular file", hint: hint)
        }
        guard access(folder, W_OK | X_OK) == 0 else { throw failure(errno) }
    }

    /// Whether the node exporter reads a file of this name.
    public var isRead: Bool { name.hasSuffix(".prom") }

    private func failure(_ error: Int32) -> Failure {
        let isFull = error == ENOSPC || error == EDQUOT
        return Failure(
            isFull ? .localSpace : .localInput,
            "unable to write the \(purpose) '\(path)': \(String(cString: strerror(error)))",
            hint: isFull ? "Make room in '\(folder)'; what was there before is as it was." : hint)
    }
}
