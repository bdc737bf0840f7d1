// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Asks several places in order, keeps what the first one gave, and asks again before that expires.
public actor CredentialsChain {
    private let providers: [any CredentialsProvider]
    private let clock: any WallClock
    private var current: Credentials?
    private var asking: Task<Credentials, any Error>?

    /// Seconds before the expiry at which new ones are fetched; until half of that, old ones are still good if fetching
    /// fails.
    static let margin: Int64 = 300

    public init(_ providers: [any CredentialsProvider], clock: any WallClock = SystemClock()) {
        self.providers = providers
        self.clock = clock
    }

    /// Credentials that are good now. Throws `storageNoCredentials` when no place has any.
    public func credentials() async throws -> Credentials {
        let left = secondsLeft
        if let current, left > Self.margin { return current }
        do {
            return try await refreshed()
        } catch {
            // A metadata service that is away for a moment must not stop a run whose credentials are still good.
            if let current, left > Self.margin / 2, !(error is CancellationError) { return current }
            throw error
        }
    }

    /// Forgets credentials that the store has refused as expired, so that the next call fetches new ones. Returns whether
    /// that can help: given ones stay the same for ever.
    public func discard(_ refused: Credentials) -> Bool {
        guard refused.expires != nil || refused.sessionToken != nil else { return false }
        if current == refused { current = nil }
        return true
    }

    private var secondsLeft: Int64 {
        guard let current else { return 0 }
        guard let expires = current.expires else { return .max }
        return expires.seconds - clock.now().seconds
    }

    /// One question for all who wait.
    private func refreshed() async throws -> Credentials {
        if let asking { return try await asking.value }
        let providers = providers
        let task = Task { try await Self.ask(providers) }
        asking = task
        defer { asking = nil }
        let fresh = try await task.value
        current = fresh
        return fresh
    }

    private static func ask(_ providers: [any CredentialsProvider]) async throws -> Credentials {
        for provider in providers {
            if let found = try await provider.credentials() { return found }
        }
        let places = providers.map(\.name).joined(separator: ", ")
        throw Failure(
            .storageNoCredentials, "no credentials for the store: none in \(places)",
            hint: "Set repository.s3.credentials in the plan, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    }
}
