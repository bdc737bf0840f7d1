// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import CGpgme
import Foundation

/// A key one can encrypt to: what is known of it, and the public key itself.
public struct Recipient: Sendable, Hashable {
    public let key: PublicKey
    /// The public key as OpenPGP packets, for `Sealer`, and for the repository's `keys/`.
    public let publicKey: [UInt8]
}

/// The keys of one GnuPG folder, asked through gpgme. Calls run on threads of their own.
public struct Keyring: Sendable {
    /// The GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    public let home: String?

    public init(home: String? = nil) {
        self.home = home
    }

    /// The recipient that a plan names: a fingerprint (40 hexadecimal digits, blanks allowed), or `file:PATH` of a public
    /// key, armoured or not, which need not be in the keyring. Usability is for `checkCanEncrypt` to say.
    ///
    /// - Throws: `EncryptionError`.
    public func recipient(_ name: String) async throws -> Recipient {
        if name.hasPrefix("file:") { return try await recipient(file: String(name.dropFirst(5))) }
        let fingerprint = try Self.normalized(name)
        return try await Blocking.run { [home] in
            let context = try GpgmeContext(home: home)
            let key = try Self.only(
                try context.keys(
                    "gpgme_op_keylist_start", gpgme_op_keylist_start(context.pointer, fingerprint, 0)), fingerprint)
            return Recipient(key: key, publicKey: try Self.export(key.fingerprint, context))
        }
    }

    /// The recipient whose public key is the only one in a file.
    ///
    /// - Throws: `EncryptionError`.
    public func recipient(file path: String) async throws -> Recipient {
        let bytes: [UInt8]
        do {
            bytes = try await Blocking.run { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
        } catch {
            throw EncryptionError.keyFile(path: path, reason: error.localizedDescription)
        }
        return try await recipient(publicKey: bytes, from: path)
    }

    /// The recipient whose public key is the only one in `bytes`, armoured or not; nothing is imported.
    ///
    /// - Parameter name: what to call the bytes in errors.
    /// - Throws: `EncryptionError`.
    public func recipient(publicKey bytes: [UInt8], from name: String) async throws -> Recipient {
        try await Blocking.run { [home] in
            let context = try GpgmeContext(home: home)
            let data = try GpgmeData(bytes)
            let keys = try context.keys(
                "gpgme_op_keylist_from_data_start",
                gpgme_op_keylist_from_data_start(context.pointer, data.handle, 0))
            guard let key = keys.first else {
                throw EncryptionError.keyFile(path: name, reason: "it holds no OpenPGP public key")
            }
            guard keys.count == 1 else { throw EncryptionError.keyAmbiguous(name) }
            return Recipient(key: key, publicKey: bytes)
        }
    }

    /// All keys whose secret part is here, with `hasSecret` telling which parts.
    ///
    /// - Throws: `EncryptionError`.
    public func secretKeys() async throws -> [PublicKey] {
        try await secretKeys(matching: nil)
    }

    /// The secret key with which `fingerprint` (of the primary key or a subkey) signs.
    ///
    /// - Throws: `EncryptionError`, also when it cannot sign today.
    public func signingKey(_ fingerprint: String) async throws -> PublicKey {
        let fingerprint = try Self.normalized(fingerprint)
        let key = try Self.only(try await secretKeys(matching: fingerprint), fingerprint)
        try key.checkCanSign()
        return key
    }

    /// Whether this keyring could decrypt what is encrypted to `fingerprint`: a host that backs up should say no.
    ///
    /// - Throws: `EncryptionError`.
    public func canDecrypt(_ fingerprint: String) async throws -> Bool {
        try await secretKeys(matching: try Self.normalized(fingerprint)).contains(where: \.canDecrypt)
    }

    /// The public key of `fingerprint` as OpenPGP packets.
    ///
    /// - Throws: `EncryptionError`.
    public func publicKey(_ fingerprint: String) async throws -> [UInt8] {
        let fingerprint = try Self.normalized(fingerprint)
        return try await Blocking.run { [home] in try Self.export(fingerprint, try GpgmeContext(home: home)) }
    }

    /// Adds public or secret keys to the keyring.
    ///
    /// - Returns: the primary fingerprints of all keys in `bytes`, new or not.
    /// - Throws: `EncryptionError`.
    @discardableResult
    public func add(_ bytes: [UInt8]) async throws -> [String] {
        try await Blocking.run { [home] in
            let context = try GpgmeContext(home: home)
            let data = try GpgmeData(bytes)
            try EncryptionLibrary.check("gpgme_op_import", gpgme_op_import(context.pointer, data.handle))
            var names: [String] = []
            var next = gpgme_op_import_result(context.pointer)?.pointee.imports
            while let status = next?.pointee {
                next = status.next
                try EncryptionLibrary.check("gpgme_op_import", status.result)
                if let name = status.fpr.map({ String(cString: $0) }), !names.contains(name) { names.append(name) }
            }
            guard !names.isEmpty else { throw EncryptionError.keyNotFound("import") }
            return names
        }
    }

    /// 40 (or, for newer keys, 64) hexadecimal digits in upper case. Short key ids are refused: they can be forged.
    static func normalized(_ text: String) throws(EncryptionError) -> String {
        let digits = text.uppercased().filter { $0 != " " }
        guard digits.count == 40 || digits.count == 64, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw .keyNotFound(text)
        }
        return digits
    }

    private func secretKeys(matching pattern: String?) async throws -> [PublicKey] {
        try await Blocking.run { [home] in
            let context = try GpgmeContext(home: home)
            return try context.keys("gpgme_op_keylist_start", gpgme_op_keylist_start(context.pointer, pattern, 1))
        }
    }

    private static func only(_ keys: [PublicKey], _ name: String) throws(EncryptionError) -> PublicKey {
        guard let key = keys.first else { throw .keyNotFound(name) }
        guard keys.count == 1 else { throw .keyAmbiguous(name) }
        return key
    }

    private static func export(_ fingerprint: String, _ context: GpgmeContext) throws -> [UInt8] {
        let data = try GpgmeData()
        try EncryptionLibrary.check(
            "gpgme_op_export", gpgme_op_export(context.pointer, fingerprint, 0, data.handle))
        let bytes = data.takeBytes()
        guard !bytes.isEmpty else { throw EncryptionError.keyNotFound(fingerprint) }
        return bytes
    }
}
