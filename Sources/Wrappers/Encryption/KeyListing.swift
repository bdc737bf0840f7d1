// SPDX-License-Identifier: Apache-2.0

/// Keys as `gpg --with-colons` lists them (doc/DETAILS of GnuPG): one process, where gpgme starts a handful to find out what
/// it has before it.
enum KeyListing {
    /// Hundreds of keys.
    private static let capacity = 1 << 20 - 1
    /// Of a public key, which may carry thousands of signatures.
    private static let keyCapacity = 16 << 20
    private static let common = ["--disable-dirmngr", "--charset", "utf8"]
    /// gpg-error.h: GPG_ERR_NO_PUBKEY and GPG_ERR_NO_SECKEY, which are no error but an empty list.
    private static let notFound: Set<UInt32> = [9, 17]

    /// The keys that `pattern` names; all when it is nil.
    ///
    /// - Parameter secret: only those whose secret part is here, and which parts.
    /// - Throws: `EncryptionError.programMissing`, `.library`, `CancellationError`.
    static func keys(matching pattern: String?, secret: Bool, home: String?) async throws -> [PublicKey] {
        let verb = secret ? "--list-secret-keys" : "--list-keys"
        let outcome = try await GpgProgram.run(
            common + ["--with-colons", verb] + (pattern.map { ["--", $0] } ?? []), home: home, input: [],
            capacity: capacity, readsOptions: true, mayAsk: false)
        if outcome.succeeded { return parse(outcome.output) }
        let codes = outcome.all("ERROR").filter { $0.first == "keylist.getkey" }
            .compactMap { $0.dropFirst().first.flatMap { UInt32($0) } }.map { $0 & 0xffff }
        if !codes.isEmpty, codes.allSatisfy(notFound.contains) { return [] }
        throw EncryptionError.library(call: "gpg \(verb)", reason: outcome.lastWords)
    }

    /// The public key of `fingerprint` as OpenPGP packets; empty when it is not there.
    ///
    /// - Throws: as `keys`.
    static func export(_ fingerprint: String, home: String?) async throws -> [UInt8] {
        let outcome = try await GpgProgram.run(
            common + ["--export", "--", fingerprint], home: home, input: [], capacity: keyCapacity, readsOptions: true,
            mayAsk: false)
        guard outcome.succeeded else {
            throw EncryptionError.library(call: "gpg --export", reason: outcome.lastWords)
        }
        // Not the large array it was read into.
        return outcome.output.withUnsafeBytes { [UInt8]($0) }
    }

    /// Reads the records of a listing; those it does not know are passed over.
    static func parse(_ listing: [UInt8]) -> [PublicKey] {
        var keys: [PublicKey] = []
        var key: PublicKey.Listed?
        for line in listing.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            func field(_ number: Int) -> ArraySlice<UInt8> { number <= fields.count ? fields[number - 1] : [] }
            let kind = String(decoding: field(1), as: UTF8.self)
            switch kind {
            case "pub", "sec":
                if let whole = key.flatMap(PublicKey.init(listed:)) { keys.append(whole) }
                key = PublicKey.Listed(validity: field(2), capabilities: field(12))
                fallthrough
            case "sub", "ssb":
                key?.parts.append(
                    part(
                        field(2), expires: field(7), capabilities: field(12), token: field(15),
                        isSecret: kind == "sec" || kind == "ssb"))
            case "fpr":
                guard let last = key?.parts.indices.last, key?.parts[last].fingerprint.isEmpty == true else { continue }
                key?.parts[last].fingerprint = String(decoding: field(10), as: UTF8.self)
            case "uid":
                if key?.userID == nil { key?.userID = unescaped(field(10)) }
            default: continue
            }
        }
        if let whole = key.flatMap(PublicKey.init(listed:)) { keys.append(whole) }
        return keys
    }

    private static func part(
        _ validity: ArraySlice<UInt8>, expires: ArraySlice<UInt8>, capabilities: ArraySlice<UInt8>,
        token: ArraySlice<UInt8>, isSecret: Bool
    ) -> PublicKey.Part {
        let ends = Int64(String(decoding: expires, as: UTF8.self)) ?? 0
        return PublicKey.Part(
            fingerprint: "", expires: ends > 0 ? ends : nil, isRevoked: validity.contains(UInt8(ascii: "r")),
            isExpired: validity.contains(UInt8(ascii: "e")), isDisabled: PublicKey.isDisabled(validity, capabilities),
            isInvalid: validity.contains(UInt8(ascii: "i")), canEncrypt: capabilities.contains(UInt8(ascii: "e")),
            canSign: capabilities.contains(UInt8(ascii: "s")),
            // A number sign stands for a part whose secret is elsewhere; a serial number is that of a card.
            hasSecret: isSecret && token.first != UInt8(ascii: "#"))
    }

    /// A user id, in which gpg writes colons and control characters as `\xHH`.
    private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "x"),
                let code = UInt8(String(decoding: rest.dropFirst().prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension PublicKey {
    /// A key whose records are being read.
    struct Listed {
        var validity: ArraySlice<UInt8>
        var capabilities: ArraySlice<UInt8>
        var userID: String?
        var parts: [Part] = []

        init(validity: ArraySlice<UInt8>, capabilities: ArraySlice<UInt8>) {
            (self.validity, self.capabilities) = (validity, capabilities)
        }
    }

    /// Nil for a key without a fingerprint, which cannot be named.
    init?(listed: Listed) {
        guard let first = listed.parts.first, !first.fingerprint.isEmpty else { return nil }
        self.init(
            fingerprint: first.fingerprint, userID: listed.userID ?? "",
            isRevoked: listed.validity.contains(UInt8(ascii: "r")),
            isExpired: listed.validity.contains(UInt8(ascii: "e")),
            isDisabled: Self.isDisabled(listed.validity, listed.capabilities),
            isInvalid: listed.validity.contains(UInt8(ascii: "i")),
            parts: listed.parts.filter { !$0.fingerprint.isEmpty })
    }

    static func isDisabled(_ validity: ArraySlice<UInt8>, _ capabilities: ArraySlice<UInt8>) -> Bool {
        validity.contains(UInt8(ascii: "d")) || capabilities.contains(UInt8(ascii: "D"))
    }
}
