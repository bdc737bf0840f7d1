// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `encryption`.
enum EncryptionReader {
    static func read(_ plan: ConfigReader) throws -> EncryptionSettings {
        guard let reader = try plan.mapping("encryption", allowed: PlanKeys.encryption) else {
            throw plan.failure(
                "encryption", "is required", hint: "List the fingerprints of the keys that may read the bundles.")
        }
        let proof = try reader.choice("prove", of: EncryptionSettings.Proof.allCases.map(\.rawValue))
        return EncryptionSettings(
            recipients: try recipients(reader),
            signer: try reader.string("signer").map { try fingerprint($0, "signer", reader) },
            proof: proof.flatMap(EncryptionSettings.Proof.init(rawValue:)) ?? .decode)
    }

    /// The list `recipients`: at least one key, each once.
    static func recipients(_ reader: ConfigReader) throws -> [String] {
        let keys = try (reader.strings("recipients") ?? []).map { try key($0, "recipients", reader) }
        guard !keys.isEmpty else {
            throw reader.failure(
                "recipients", "must list at least one key", hint: "`gpg --list-keys --with-colons` prints fingerprints."
            )
        }
        for (index, key) in keys.enumerated() where keys[..<index].contains(key) {
            throw reader.failure("recipients", "lists '\(key)' twice")
        }
        return keys
    }

    private static func key(_ text: String, _ name: String, _ reader: ConfigReader) throws -> String {
        guard let path = text.droppingPrefix("file:") else { return try fingerprint(text, name, reader) }
        guard path.hasPrefix("/") else {
            throw reader.failure(name, "'\(text)' must be an absolute path", hint: "Write file:/path/of/key.asc.")
        }
        return text
    }

    /// Short key ids and addresses can be forged; only whole fingerprints name a key.
    private static func fingerprint(_ text: String, _ name: String, _ reader: ConfigReader) throws -> String {
        let digits = text.filter { $0 != " " }.uppercased()
        let isHexadecimal = digits.utf8.allSatisfy {
            ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || ($0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "F"))
        }
        guard isHexadecimal, [40, 64].contains(digits.utf8.count) else {
            throw reader.failure(
                name, "'\(text)' is not a whole fingerprint (40 hexadecimal digits) or file:PATH",
                hint: "`gpg --list-keys --with-colons` prints fingerprints.")
        }
        return digits
    }
}
