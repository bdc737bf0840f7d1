// SPDX-License-Identifier: Apache-2.0
public import Domain
import Synchronization

/// Knows every secret fetched so far and takes them out of texts for people and logs.
public final class SecretRedactor: Sendable {
    /// What stands where a secret was.
    public static let mark = "<redacted>"
    private let secrets = Mutex<Set<String>>([])

    public init() {}

    /// Remembers a secret. One of fewer than four characters would redact ordinary words, so it is not.
    public func register(_ secret: String) {
        guard secret.count >= 4 else { return }
        secrets.withLock { _ = $0.insert(secret) }
    }

    /// `text` without any registered secret.
    public func redact(_ text: String) -> String {
        let known = secrets.withLock { $0 }
        // Longest first: a secret may be part of another one.
        return known.sorted { $0.count > $1.count }.reduce(text) { $0.replacing($1, with: Self.mark) }
    }
}

/// A resolver whose secrets are redacted from then on.
public struct RedactingSecretResolver: SecretResolver {
    private let base: any SecretResolver
    private let redactor: SecretRedactor

    public init(_ base: any SecretResolver, _ redactor: SecretRedactor) {
        self.base = base
        self.redactor = redactor
    }

    public func resolve(_ reference: SecretReference) async throws -> String {
        let secret = try await base.resolve(reference)
        redactor.register(secret)
        return secret
    }
}
