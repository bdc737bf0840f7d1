// SPDX-License-Identifier: Apache-2.0

/// When a key that the runs of a plan need ends.
public struct KeyExpiry: Sendable, Codable, Equatable {
    public var role: Role
    public var fingerprint: String
    /// nil: never.
    public var expires: Timestamp?

    /// What the key is for.
    public enum Role: String, Sendable, Codable, CaseIterable {
        /// Bundles are encrypted to it.
        case recipient
        /// It signs for this host.
        case signer
    }

    public init(role: Role, fingerprint: String, expires: Timestamp?) {
        self.role = role
        self.fingerprint = fingerprint
        self.expires = expires
    }
}
