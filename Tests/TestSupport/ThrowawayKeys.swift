// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A GnuPG folder with keys made by the stock program, for one test; it goes away, and its agent with it, when the value
/// does.
public final class ThrowawayKeys: Sendable {
    private let folder: TemporaryDirectory
    /// The GnuPG folder, for `GNUPGHOME`.
    public let home: String

    /// An empty keyring.
    public init() throws {
        folder = try TemporaryDirectory("gpg")
        // gpg-agent's socket lies in here, and sockets have short names.
        home = folder("h")
        try FileManager.default.createDirectory(
            atPath: home, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit {
        // The agent, which ends when its folder goes, may be removing its sockets at the same moment: once more then.
        for _ in 0..<5 where FileManager.default.fileExists(atPath: home) {
            try? FileManager.default.removeItem(atPath: home)
        }
    }

    /// What a key of `add` is for.
    public enum Use: Sendable {
        case encryption
        case signing
    }

    /// What a test needs most: one recipient, one signer.
    public struct Pair: Sendable {
        public let keys: ThrowawayKeys
        public let recipient: String
        public let signer: String
    }

    /// A keyring with one recipient and one signer, both without passphrase.
    public static func pair() async throws -> Pair {
        let keys = try ThrowawayKeys()
        return Pair(
            keys: keys, recipient: try await keys.add("Recipient <recipient@example.com>", for: .encryption),
            signer: try await keys.add("Signer <signer@example.com>", for: .signing))
    }

    /// Makes a key and gives its primary fingerprint.
    ///
    /// - Parameters:
    ///   - expires: as gpg takes it: `never`, `1d`, `2020-02-01`.
    ///   - madeAt: pretend it was made then, such as `20200101T000000`.
    public func add(
        _ userID: String, for use: Use, expires: String = "never", madeAt: String? = nil
    ) async throws -> String {
        let time = madeAt.map { ["--faked-system-time", "\($0)!"] } ?? []
        let made = try await gpg(
            time + ["--passphrase", "", "--status-fd", "1", "--quick-generate-key", userID, "ed25519", "sign", expires])
        guard
            let fingerprint = made.split(separator: "\n").last(where: { $0.contains("KEY_CREATED") })?
                .split(separator: " ").last.map(String.init)
        else { throw Problem(errors: made) }
        if use == .encryption {
            _ = try await gpg(
                time + ["--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encrypt", expires])
        }
        return fingerprint
    }

    /// Revokes a key with the certificate gpg made beside it.
    public func revoke(_ fingerprint: String) async throws {
        let file = "\(home)/openpgp-revocs.d/\(fingerprint).rev"
        // gpg puts a colon in front of the armour, so that nobody imports it by accident.
        let text = try String(contentsOfFile: file, encoding: .utf8).replacingOccurrences(of: ":-----", with: "-----")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        _ = try await gpg(["--import", file])
    }

    /// Writes the public key to a file, armoured, and gives its path.
    public func publicKeyFile(_ fingerprint: String) async throws -> String {
        let path = folder("\(fingerprint).asc")
        _ = try await gpg(["--armor", "--output", path, "--export", fingerprint])
        return path
    }

    /// Runs stock gpg in this folder; throws unless it exits with 0.
    @discardableResult
    public func gpg(_ arguments: [String], input: [UInt8] = []) async throws -> String {
        let outcome = try await run(arguments, input: input)
        guard outcome.status == 0 else { throw Problem(errors: outcome.errors) }
        return outcome.text
    }

    /// Runs stock gpg in this folder; the caller looks at the status.
    public func run(_ arguments: [String], input: [UInt8] = []) async throws -> StockProgram.Outcome {
        try await StockProgram.run("gpg", ["--homedir", home, "--batch", "--no-tty"] + arguments, input: input)
    }

    /// gpg's own words.
    public struct Problem: Error, CustomStringConvertible {
        public let errors: String
        public var description: String { errors }
    }
}
