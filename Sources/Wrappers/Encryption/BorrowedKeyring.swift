// SPDX-License-Identifier: Apache-2.0

/// Public keys in a folder of their own, which goes when nobody holds it any more: to check signatures by keys that the
/// user's keyring does not have, and need not have.
public final class BorrowedKeyring: Sendable {
    private let home: PrivateHome

    /// An empty one.
    ///
    /// - Throws: `EncryptionError.file`.
    public init() throws {
        home = try PrivateHome(prefix: "salvor-signers")
    }

    /// The keys in it.
    public var keyring: Keyring { Keyring(home: home.path) }
}
