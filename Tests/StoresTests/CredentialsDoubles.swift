// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

@testable import Stores

extension CredentialsChain {
    /// The chain a plan with these settings would ask.
    static func of(
        _ settings: S3Settings = S3Settings(), _ environment: [String: String]
    ) async throws -> CredentialsChain {
        let providers = try await StoreFactory.providers(
            settings, LiteralSecrets(), SharedProfile(profile: settings.profile, environment: environment),
            region: "us-east-1", environment: environment)
        return CredentialsChain(providers)
    }
}

/// Secrets that are what the reference says.
struct LiteralSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String {
        guard case .literal(let text) = reference.kind else {
            throw Failure(.secretUnavailable, "only literals in this test")
        }
        return text
    }
}

/// A clock that stands still until it is moved.
final class AdjustableClock: WallClock {
    private let time: Mutex<Timestamp>

    init(_ time: Timestamp) { self.time = Mutex(time) }

    func now() -> Timestamp { time.withLock { $0 } }

    func advance(_ seconds: Int64) { time.withLock { $0.seconds += seconds } }
}

/// Gives numbered credentials.
final class CountingCredentials: CredentialsProvider {
    private let lifetime: Int64
    private let clock: any WallClock
    private let count = Mutex(0)
    let isBroken = Mutex(false)

    init(lifetime: Int64, clock: any WallClock) {
        self.lifetime = lifetime
        self.clock = clock
    }

    var name: String { "a counter" }

    func credentials() async throws -> Credentials? {
        if isBroken.withLock({ $0 }) { throw Failure(.storageNoCredentials, "out of order") }
        await Task.yield()
        let number = count.withLock {
            $0 += 1
            return $0
        }
        return Credentials(
            accessKey: "AK\(number)", secretKey: "SK", sessionToken: "T\(number)",
            expires: Timestamp(seconds: clock.now().seconds + lifetime))
    }
}
