// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Glibc
import Synchronization

/// Good signatures of a while ago: each check starts a `gpg`, and status, metrics and prune look at the same manifests
/// again and again. What is remembered is about these very bytes, this very signature and this very keyring file; only
/// the end of a key's life comes late.
final class SignatureMemory: Sendable {
    static let shared = SignatureMemory()

    /// How long a check counts.
    static let lifetime = Duration.seconds(300)
    /// About 10 MB; a repository has fewer.
    private static let capacity = 50_000

    struct Key: Hashable, Sendable {
        fileprivate var bytes: SHA256Digest
        fileprivate var signature: SHA256Digest
        fileprivate var keyring: [Int64]
    }

    private let known = Mutex<[Key: (signature: VerifiedSignature, at: ContinuousClock.Instant)]>([:])

    /// What to remember a signature under; nil when the keyring's state cannot be told (a key server, or no file yet).
    static func key(_ bytes: [UInt8], _ signature: [UInt8], home: String?) -> Key? {
        let folder =
            home ?? getenv("GNUPGHOME").map { String(cString: $0) }
            ?? getenv("HOME").map { "\(String(cString: $0))/.gnupg" }
        var status = stat()
        guard let folder, stat("\(folder)/pubring.kbx", &status) == 0 else { return nil }
        return Key(
            bytes: SHA256Digest.of(bytes), signature: SHA256Digest.of(signature),
            keyring: [
                Int64(status.st_dev), Int64(status.st_ino), Int64(status.st_size), Int64(status.st_mtim.tv_sec),
                Int64(status.st_mtim.tv_nsec), Int64(status.st_ctim.tv_sec), Int64(status.st_ctim.tv_nsec),
            ])
    }

    func signature(_ key: Key) -> VerifiedSignature? {
        known.withLock { known in
            known[key].flatMap { $0.at.duration(to: .now) < Self.lifetime ? $0.signature : nil }
        }
    }

    func remember(_ signature: VerifiedSignature, _ key: Key) {
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll() }
            known[key] = (signature, .now)
        }
    }
}
