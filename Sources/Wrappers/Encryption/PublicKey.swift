// SPDX-License-Identifier: Apache-2.0
import CGpgme

/// What is known of one OpenPGP key. Whether parts have expired is as gpg saw it when the key was looked up.
public struct PublicKey: Sendable, Hashable {
    /// The primary key or one of its subkeys.
    public struct Part: Sendable, Hashable {
        public var fingerprint: String
        /// Seconds since 1970; nil: never.
        public var expires: Int64?
        public var isRevoked: Bool
        public var isExpired: Bool
        public var isDisabled: Bool
        public var isInvalid: Bool
        public var canEncrypt: Bool
        public var canSign: Bool
        /// Whether the secret part is at hand, in the keyring or on a card; only known from a listing of secret keys.
        public var hasSecret: Bool

        var isUsable: Bool { !isRevoked && !isExpired && !isDisabled && !isInvalid }
    }

    /// The primary key's fingerprint, in upper-case hexadecimal.
    public let fingerprint: String
    /// The first user id; empty when there is none.
    public let userID: String
    public let isRevoked: Bool
    public let isExpired: Bool
    public let isDisabled: Bool
    public let isInvalid: Bool
    /// The primary key first, then its subkeys.
    public let parts: [Part]

    init(
        fingerprint: String, userID: String, isRevoked: Bool, isExpired: Bool, isDisabled: Bool, isInvalid: Bool,
        parts: [Part]
    ) {
        self.fingerprint = fingerprint
        self.userID = userID
        self.isRevoked = isRevoked
        self.isExpired = isExpired
        self.isDisabled = isDisabled
        self.isInvalid = isInvalid
        self.parts = parts
    }

    /// Nil for a key without a fingerprint, which cannot be named.
    init?(_ key: gpgme_key_t) {
        let value = key.pointee
        guard let first = value.subkeys, let name = first.pointee.fpr else { return nil }
        fingerprint = String(cString: name)
        userID = value.uids?.pointee.uid.map { String(cString: $0) } ?? ""
        isRevoked = value.revoked != 0
        isExpired = value.expired != 0
        isDisabled = value.disabled != 0
        isInvalid = value.invalid != 0
        var parts: [Part] = []
        var next: gpgme_subkey_t? = first
        while let subkey = next?.pointee {
            next = subkey.next
            guard let name = subkey.fpr else { continue }
            parts.append(
                Part(
                    fingerprint: String(cString: name), expires: subkey.expires > 0 ? Int64(subkey.expires) : nil,
                    isRevoked: subkey.revoked != 0, isExpired: subkey.expired != 0, isDisabled: subkey.disabled != 0,
                    isInvalid: subkey.invalid != 0, canEncrypt: subkey.can_encrypt != 0,
                    canSign: subkey.can_sign != 0, hasSecret: subkey.secret != 0 || subkey.is_cardkey != 0))
        }
        self.parts = parts
    }

    /// When encryption to this key will end, in seconds since 1970; nil: never.
    public var encryptionExpires: Int64? { expiry { $0.canEncrypt } }

    /// When signing with this key will end, in seconds since 1970; nil: never.
    public var signingExpires: Int64? { expiry { $0.canSign } }

    /// Throws unless one can encrypt to this key today.
    ///
    /// - Throws: `EncryptionError.keyRevoked`, `.keyExpired`, `.keyDisabled`, `.keyInvalid` or `.keyCannotEncrypt`.
    public func checkCanEncrypt() throws(EncryptionError) {
        try checkUsable(.keyCannotEncrypt(fingerprint)) { $0.canEncrypt }
    }

    /// Throws unless this key, out of a listing of secret keys, can sign today.
    ///
    /// - Throws: `EncryptionError.keyRevoked`, `.keyExpired`, `.keyDisabled`, `.keyInvalid` or `.keyCannotSign`.
    public func checkCanSign() throws(EncryptionError) {
        try checkUsable(.keyCannotSign(fingerprint)) { $0.canSign && $0.hasSecret }
    }

    /// Whether somebody who has its secret part can sign with it today.
    ///
    /// - Throws: `EncryptionError` with the reason why not.
    public func checkSigns() throws(EncryptionError) {
        try checkUsable(.keyCannotSign(fingerprint)) { $0.canSign }
    }

    /// Whether the secret of a part that encrypts is at hand.
    public var canDecrypt: Bool { parts.contains { $0.canEncrypt && $0.hasSecret } }

    private func checkUsable(_ unfit: EncryptionError, _ fits: (Part) -> Bool) throws(EncryptionError) {
        if isRevoked { throw .keyRevoked(fingerprint) }
        if isExpired { throw .keyExpired(fingerprint, at: parts.first?.expires) }
        if isDisabled { throw .keyDisabled(fingerprint) }
        if isInvalid { throw .keyInvalid(fingerprint) }
        let fitting = parts.filter(fits)
        guard let last = fitting.last else { throw unfit }
        if fitting.contains(where: \.isUsable) { return }
        if let expired = fitting.last(where: { $0.isExpired && !$0.isRevoked }) {
            throw .keyExpired(fingerprint, at: expired.expires)
        }
        throw last.isRevoked ? .keyRevoked(fingerprint) : .keyInvalid(fingerprint)
    }

    private func expiry(_ fits: (Part) -> Bool) -> Int64? {
        let ends = parts.filter { fits($0) && $0.isUsable }.map { $0.expires ?? .max }
        let end = min(ends.max() ?? .max, parts.first?.expires ?? .max)
        return end == .max ? nil : end
    }
}
