// SPDX-License-Identifier: Apache-2.0
import ByteStreams

/// Where a secret is to be found: `file:PATH`, `env:NAME`, `credential:NAME` (systemd's `$CREDENTIALS_DIRECTORY`),
/// `command:PROGRAM ARG…`, or a literal. Printing it never prints a literal.
public struct SecretReference: Sendable, Hashable, CustomStringConvertible {
    /// The kind and its argument.
    public enum Kind: Sendable, Hashable {
        case file(String)
        case environment(String)
        case credential(String)
        /// A program and its arguments, split at blanks; its standard output less one newline is the secret.
        case command([String])
        case literal(String)
    }

    public let kind: Kind
    /// Where in the configuration it stands.
    public let mark: ConfigMark

    public init(_ text: String, mark: ConfigMark) {
        self.mark = mark
        if let path = text.droppingPrefix("file:") {
            kind = .file(path)
        } else if let name = text.droppingPrefix("env:") {
            kind = .environment(name)
        } else if let name = text.droppingPrefix("credential:") {
            kind = .credential(name)
        } else if let command = text.droppingPrefix("command:") {
            kind = .command(command.split(separator: " ").map(String.init))
        } else {
            kind = .literal(text)
        }
    }

    /// What systemd's credential for the file of a `file:` reference is called where the service may not read it itself.
    public static func credentialName(forFile path: String) -> String {
        "file-\(SHA256Digest.of(path.utf8).description.prefix(16))"
    }

    public var description: String {
        switch kind {
        case .file(let path): "file:\(path)"
        case .environment(let name): "env:\(name)"
        case .credential(let name): "credential:\(name)"
        case .command(let words): "command:\(words.first ?? "")"
        case .literal: "<redacted>"
        }
    }
}

/// Fetches secrets when they are needed.
public protocol SecretResolver: Sendable {
    /// The secret, or a failure that names the reference but not the secret.
    func resolve(_ reference: SecretReference) async throws -> String
}

extension String {
    /// The rest after `prefix`; nil when the text does not begin with it.
    public func droppingPrefix(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }

    /// What is before `suffix`; nil when it does not end with it.
    public func droppingSuffix(_ suffix: String) -> String? {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
    }
}
