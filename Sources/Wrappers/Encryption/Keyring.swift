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

/// The keys of one GnuPG folder, asked through gpg and gpgme. Calls run on threads of their own.
public struct Keyring: Sendable {
    /// The GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    public let home: String?
    private let memory: KeyMemory?

    /// - Parameter remembers: for how long what was found of a key by its fingerprint is taken for true; a run asks for the
    ///   same keys several times within a moment, and every answer is a process of its own. Nil: not at all.
    public init(home: String? = nil, remembers: Duration? = nil) {
        self.home = home
        memory = remembers.map(KeyMemory.init)
    }

    /// The recipient that a plan names: a fingerprint (40 hexadecimal digits, blanks allowed), or `file:PATH` of a public
    /// key, armoured or not, which need not be in the keyring. Usability is for `checkCanEncrypt` to say.
    ///
    /// - Throws: `EncryptionError`.
    public func recipient(_ name: String) async throws -> Recipient {
        if name.hasPrefix("file:") { return try await recipient(file: String(name.dropFirst(5))) }
        let fingerprint = try Self.normalized(name)
        let find = { @Sendable [home] in
            async let packets = KeyListing.export(fingerprint, home: home)
            let key = try Self.only(
                try await KeyListing.keys(matching: fingerprint, secret: false, home: home), fingerprint)
            let publicKey = try await packets
            guard !publicKey.isEmpty else { throw EncryptionError.keyNotFound(fingerprint) }
            return Recipient(key: key, publicKey: publicKey)
        }
        guard let memory else { return try await find() }
        return try await memory.recipients.value(fingerprint, find)
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
        let find = { @Sendable [home] in
            try await Blocking.run {
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
        guard let memory else { return try await find() }
        return try await memory.recipients.value("\(SHA256Digest.of(bytes)) \(name)", find)
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
        let bytes = try await KeyListing.export(fingerprint, home: home)
        guard !bytes.isEmpty else { throw EncryptionError.keyNotFound(fingerprint) }
        return bytes
    }

    /// Adds public or secret keys to the keyring.
    ///
    /// - Returns: the primary fingerprints of all keys in `bytes`, new or not.
    /// - Throws: `EncryptionError`.
    @discardableResult
    public func add(_ bytes: [UInt8]) async throws -> [String] {
        memory?.forget()
        return try await Blocking.run { [home] in
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
        let find = { @Sendable [home] in try await KeyListing.keys(matching: pattern, secret: true, home: home) }
        guard let memory else { return try await find() }
        return try await memory.secrets.value(pattern ?? "", find)
    }

    private static func only(_ keys: [PublicKey], _ name: String) throws(EncryptionError) -> PublicKey {
        guard let key = keys.first else { throw .keyNotFound(name) }
        guard keys.count == 1 else { throw .keyAmbiguous(name) }
        return key
    }
}
