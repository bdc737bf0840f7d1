// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import Glibc
import Operations
import Synchronization

/// One folder for a drill, `salvor-drill-…`, with short names in it: paths of sockets have at most 107 bytes.
///
/// It is locked as long as its drill lives, so that the next one removes what a killed one left.
final class DrillFolders: Drill.Folders {
    private static let prefix = "salvor-drill-"
    private let path: String
    private let lock: Int32
    private let names = Mutex<[String]>([])

    /// Makes the folder below `parent`, after removing what dead drills left there.
    init(below parent: String) throws {
        try Self.sweep(parent)
        let path = "\(parent)/\(Self.prefix)\(BundleID.randomSuffix())"
        // Engines run under other accounts, which must be able to pass.
        guard mkdir(path, 0o711) == 0, chmod(path, 0o711) == 0 else { throw Self.failure("make", path) }
        lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        self.path = path
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw Self.failure("lock", path) }
    }

    /// Removes the folder with all that is in it.
    func remove() async throws {
        let path = path
        try await Blocking.run { try Self.removeTree(path) }
        close(lock)
    }

    func engine(_ source: String) async throws -> String { try await make("e", source, 0o711) }

    func work(_ source: String) async throws -> String { try await make("w", source, 0o700) }

    func remove(_ source: String) async throws {
        let number = number(source)
        let path = path
        try await Blocking.run { for kind in ["e", "w"] { try Self.removeTree("\(path)/\(kind)\(number)") } }
    }

    private func make(_ kind: String, _ source: String, _ mode: mode_t) async throws -> String {
        let folder = "\(path)/\(kind)\(number(source))"
        try await Blocking.run {
            guard mkdir(folder, mode) == 0, chmod(folder, mode) == 0 else { throw Self.failure("make", folder) }
        }
        return folder
    }

    private func number(_ source: String) -> Int {
        names.withLock { names in
            if let index = names.firstIndex(of: source) { return index }
            names.append(source)
            return names.count - 1
        }
    }

    private static func sweep(_ parent: String) throws {
        let entries: [String]
        do {
            entries = try FileManager.default.contentsOfDirectory(atPath: parent)
        } catch {
            throw Failure(
                .localInput, "unable to read the folder '\(parent)': \(error.localizedDescription)",
                hint: "Name a folder with room for the restored data with --folder.")
        }
        for entry in entries where entry.hasPrefix(prefix) {
            let path = "\(parent)/\(entry)"
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
                continue
            }
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { try removeTree(path) }
        }
    }

    private static func removeTree(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw Failure(
                .localInput, "unable to remove '\(path)': \(error.localizedDescription)",
                hint: "It has restored data in it: remove it by hand.")
        }
    }

    private static func failure(_ verb: String, _ path: String) -> Failure {
        Failure(
            errno == ENOSPC ? .localSpace : .localInput,
            "unable to \(verb) '\(path)': \(String(cString: strerror(errno)))",
            hint: "Name a folder with room for the restored data with --folder.")
    }
}
