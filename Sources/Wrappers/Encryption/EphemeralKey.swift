// SPDX-License-Identifier: Apache-2.0
import CGpgme
import Glibc

/// A key pair for one run: an extra recipient with which the run itself can read back what it stored, and afterwards
/// nobody. The secret part lies in memory-backed storage and in its own gpg-agent, and is gone after `destroy`, when the
/// value goes away, or when the machine stops. (Memory may be swapped out, as that of any process.)
public final class EphemeralKey: Sendable {
    /// To be added to the recipients of the run.
    public let recipient: Recipient
    /// Decrypts what was made for it.
    public var opener: Opener { Opener(home: home.path) }
    private let home: PrivateHome

    private init(home: PrivateHome, recipient: Recipient) {
        self.home = home
        self.recipient = recipient
    }

    /// Makes a pair, in about a tenth of a second.
    ///
    /// - Parameter base: a folder kept in memory; nil: `$XDG_RUNTIME_DIR`, else `/dev/shm`.
    /// - Throws: `EncryptionError.notMemoryBacked` when the folder is on a disk, or what making a key throws; nothing is
    ///   left behind then.
    public static func make(in base: String? = nil) async throws -> EphemeralKey {
        let base = try base ?? defaultBase()
        guard isMemoryBacked(base) else { throw EncryptionError.notMemoryBacked(path: base) }
        let home = try PrivateHome(prefix: "salvor-key", in: base)
        do {
            let keyring = Keyring(home: home.path)
            let fingerprint = try await KeyGeneration(home: home.path).makeRecipient(userID: "salvor run key")
            return EphemeralKey(home: home, recipient: try await keyring.recipient(fingerprint))
        } catch {
            await home.close()
            throw error
        }
    }

    /// Runs `body` with a new pair, which is gone when this returns or throws.
    public static func with<Result: Sendable>(
        in base: String? = nil, _ body: (EphemeralKey) async throws -> Result
    ) async throws -> Result {
        let key = try await make(in: base)
        do {
            let result = try await body(key)
            await key.destroy()
            return result
        } catch {
            await key.destroy()
            throw error
        }
    }

    /// Ends its agent and removes the secret key. Harmless when done twice.
    public func destroy() async {
        await home.close()
    }

    private static func defaultBase() throws -> String {
        let runtime = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? ""
        let candidates = runtime.isEmpty ? ["/dev/shm"] : [runtime, "/dev/shm"]
        guard let base = candidates.first(where: { isMemoryBacked($0) && access($0, W_OK) == 0 }) else {
            throw EncryptionError.notMemoryBacked(path: candidates.joined(separator: "' or '"))
        }
        return base
    }

    private static func isMemoryBacked(_ path: String) -> Bool {
        var info = statfs()
        guard statfs(path, &info) == 0 else { return false }
        // statfs(2): TMPFS_MAGIC, RAMFS_MAGIC.
        return [0x0102_1994, 0x8584_58f6].contains(Int(info.f_type))
    }
}
