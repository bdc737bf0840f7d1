// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Programs
import Synchronization

/// A GnuPG folder of our own, mode 0700, removed with all it holds. A gpg-agent that was started for it ends by itself
/// when the folder goes (it watches it), and is told to by `close`.
final class PrivateHome: Sendable {
    /// Absolute path without a trailing slash.
    let path: String
    private let isOpen = Mutex(true)

    /// - Parameter base: where to make it; nil: the temporary folder.
    /// - Throws: `EncryptionError.file`.
    init(prefix: String, in base: String? = nil) throws {
        let base = base ?? FileManager.default.temporaryDirectory.path
        // mkdtemp makes it with mode 0700 and a name nobody could plant before.
        var template = Array("\(base)/\(prefix)-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        guard let made else {
            throw EncryptionError.file(
                path: "\(base)/\(prefix)-XXXXXX", call: "create", reason: String(cString: strerror(errno)))
        }
        path = made
    }

    deinit {
        if isOpen.withLock({ $0 }) { remove() }
    }

    /// Writes a file of mode 0600 into it.
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
        else { throw EncryptionError.file(path: file, call: "write", reason: String(cString: strerror(errno))) }
        return file
    }

    /// Ends the agents of this folder and removes it, also when the task was cancelled. Harmless when done twice.
    func close() async {
        guard
            isOpen.withLock({ isOpen in
                defer { isOpen = false }
                return isOpen
            })
        else { return }
        // A task of its own, since a cancelled one cannot start programs.
        await Task { [path] in
            for action in [["--kill", "all"], ["--remove-socketdir"]] {
                // When it fails, removing the folder still ends the agent.
                _ = try? await ChildProgram.run("gpgconf", ["--homedir", path] + action) { pipes in
                    try pipes.closeInput()
                }
            }
        }.value
        remove()
    }

    private func remove() {
        // An agent that is just ending may remove its sockets under our hands: once more then.
        for _ in 0..<5 {
            do {
                try FileManager.default.removeItem(atPath: path)
                return
            } catch {
                if access(path, F_OK) != 0 { return }
            }
        }
    }
}
