// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Foundation
import TestSupport
import Testing

@testable import Stores
@testable import Transfer

/// A kind of store that the contract is checked on.
struct StoreUnderTest: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// Whether the store honours conditional writes; a store that does not must be found out by the probe.
    var hasConditions = true
    /// Makes an empty store; the second value keeps what it needs alive.
    var make: @Sendable () async throws -> (store: any Store, keeper: any Sendable)

    /// Those of every test run; with `SALVOR_TEST_S3` only the server that scripts/test-stores has started.
    static let all: [StoreUnderTest] =
        outside.map { [s3($0)] } ?? [directory, seaweed, seaweedTLS, seaweedVirtualHost]

    static let directory = StoreUnderTest(testDescription: "directory") {
        let folder = try TemporaryDirectory("store")
        return (DirectoryStore(folder("repository")), folder)
    }

    static let seaweed = s3("SeaweedFS") { try await SeaweedFS.shared().plain }
    static let seaweedTLS = s3("SeaweedFS with TLS") { try await SeaweedFS.shared().tls }
    static let seaweedVirtualHost = s3("SeaweedFS by virtual host", addressing: .virtualHost) {
        var endpoint = try await SeaweedFS.shared().plain
        endpoint.url = endpoint.url.replacingOccurrences(of: "127.0.0.1", with: "s3.localhost")
        return endpoint
    }

    /// The server named by the environment, with what it is known not to do.
    static let outside: S3Endpoint? = {
        let environment = ProcessInfo.processInfo.environment
        guard let url = environment["SALVOR_TEST_S3"], !url.isEmpty else { return nil }
        return S3Endpoint(
            name: environment["SALVOR_TEST_S3_NAME"] ?? url, url: url,
            accessKey: environment["SALVOR_TEST_S3_KEY"] ?? "AKTEST",
            secretKey: environment["SALVOR_TEST_S3_SECRET"] ?? "SKTESTSECRET0123456789",
            caFile: url.hasPrefix("https:") ? environment["SALVOR_TEST_S3_CA"] : nil)
    }()

    private static func s3(_ endpoint: S3Endpoint) -> StoreUnderTest {
        var target = s3(endpoint.name) { endpoint }
        target.hasConditions = ProcessInfo.processInfo.environment["SALVOR_TEST_S3_CONDITIONS"] != "no"
        return target
    }

    private static func s3(
        _ name: String, addressing: S3Settings.Addressing = .path,
        _ endpoint: @escaping @Sendable () async throws -> S3Endpoint
    ) -> StoreUnderTest {
        StoreUnderTest(testDescription: name) {
            let endpoint = try await endpoint()
            let bucket = try await Buckets.shared.bucket(at: endpoint)
            let prefix = "run/\(UUID().uuidString.lowercased())"
            return (try S3Store.under(test: endpoint, bucket: bucket, prefix: prefix, addressing: addressing), 0)
        }
    }
}

/// One bucket for each server and test process.
actor Buckets {
    static let shared = Buckets()
    private var names: [String: String] = [:]

    func bucket(at endpoint: S3Endpoint) throws -> String {
        if let name = names[endpoint.url] { return name }
        var direct = endpoint
        direct.url = endpoint.url.replacingOccurrences(of: "s3.localhost", with: "127.0.0.1")
        let name = try direct.makeBucket()
        names[endpoint.url] = name
        return name
    }
}

extension S3Store {
    /// A store at a test server, with short pauses between retries and no proxy.
    static func under(
        test endpoint: S3Endpoint, bucket: String, prefix: String, addressing: S3Settings.Addressing = .path,
        clock: any WallClock = SystemClock(), change: (inout Options) -> Void = { _ in }
    ) throws -> S3Store {
        var options = Options()
        options.route = HTTPRequest.Route(caFile: endpoint.caFile, proxy: .none)
        options.retry = RetryPolicy(attempts: 6, totalSeconds: 30, firstPause: 0.01, longestPause: 0.1)
        options.clock = clock
        change(&options)
        let location = try S3Location(
            bucket: bucket, prefix: prefix, region: endpoint.region, endpoint: endpoint.url, addressing: addressing)
        let credentials = FixedCredentials(
            Credentials(accessKey: endpoint.accessKey, secretKey: endpoint.secretKey))
        return S3Store(
            location, credentials: CredentialsChain([credentials]), client: HTTPClient(), options: options)
    }
}

/// A clock that is wrong by a fixed amount.
struct ShiftedClock: WallClock {
    var seconds: Int64

    func now() -> Timestamp {
        let now = SystemClock().now()
        return Timestamp(seconds: now.seconds + seconds, nanoseconds: now.nanoseconds)
    }
}

/// The failure that `body` throws; anything else is an issue.
func failure(
    of body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async -> Failure? {
    do {
        try await body()
        Issue.record("no error was thrown", sourceLocation: sourceLocation)
    } catch let failure as Failure {
        return failure
    } catch {
        Issue.record("not a failure: \(error)", sourceLocation: sourceLocation)
    }
    return nil
}
