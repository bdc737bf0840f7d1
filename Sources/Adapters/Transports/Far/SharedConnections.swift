// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Foundation
import Glibc

/// Where `ssh` keeps the sockets of its shared connections: a login costs several round trips and a key exchange, and a
/// night starts hundreds of far programs, which sshd's `MaxStartups` would turn away at random.
enum SharedConnections {
    /// How long an idle connection is kept, in seconds: from one program to the next, and not much longer than a run.
    static let idleSeconds = 15

    /// A Unix socket's path has at most 107 bytes (unix(7)); ssh adds 17 while it makes one.
    private static let longestPath = 90

    /// The socket for everything that is reached by these words; nil when there is no folder that is ours alone.
    static func socket(for words: [String]) -> String? {
        let digest = SHA256Digest.of(Array(words.joined(separator: "\0").utf8)).description.prefix(16)
        guard let folder = folder() else { return nil }
        let path = "\(folder)/\(digest)"
        return path.utf8.count <= longestPath ? path : nil
    }

    /// A folder that no other user can enter: who can open such a socket is logged in at the far side.
    private static func folder() -> String? {
        let path = NSTemporaryDirectory() + "salvor-ssh-\(geteuid())"
        mkdir(path, 0o700)
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
            status.st_mode & 0o077 == 0
        else { return nil }
        return path
    }
}
