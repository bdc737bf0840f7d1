// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Synchronization
import Transfer

/// Signs requests, sends them, and tries again what may be tried again.
struct S3Connection: Sendable {
    let location: S3Location
    let client: HTTPClient
    let credentials: CredentialsChain
    let route: HTTPRequest.Route
    let retry: RetryPolicy
    let stallSeconds: Int
    let connectSeconds: Double
    let clock: any WallClock
    /// Gives a number from 0 to 1 for the jitter.
    let chance: @Sendable () -> Double

    var failures: S3Failures { S3Failures(location: location, clock: clock) }

    /// A request for an object or the bucket, not yet signed.
    struct Call: Sendable {
        var method: String
        /// nil: the bucket itself.
        var key: String?
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body: [UInt8]?
        var payloadHash = S3Connection.emptyHash
        var maximumResponse = 1 << 20
        /// The action and its object, for messages.
        var what: String
    }

    /// SHA-256 of nothing.
    static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// What came of a call that was tried until it could be told.
    struct Outcome: Sendable {
        var response: HTTPResponse
        /// Whether an attempt before this one may have taken effect without our hearing of it.
        var isRepeated: Bool
    }

    /// Sends until the reply is a success or one of `accepted` statuses, or until there is no hope.
    ///
    /// `check` may refuse a success (a body that does not match its digest); it is then tried again. `between` runs before
    /// each retry of an attempt that may have taken effect, and ends the whole when it gives a reply.
    func send(
        _ call: Call, accepting accepted: Set<Int> = [], check: (HTTPResponse) throws -> Void = { _ in },
        between: () async throws -> HTTPResponse? = { nil }
    ) async throws -> Outcome {
        let start = ProcessInfo.processInfo.systemUptime
        var isRepeated = false
        var hasRefreshed = false
        for attempt in 1... {
            let used = try await credentials.credentials()
            let verdict: S3Failures.Verdict
            do {
                let response = try await client.send(sign(call, with: used))
                if response.isSuccess || accepted.contains(response.status) {
                    do {
                        try check(response)
                        return Outcome(response: response, isRepeated: isRepeated)
                    } catch let failure as Failure where failure.code == .storageFailed {
                        verdict = .retry(failure, after: nil)
                    }
                } else {
                    verdict = failures.verdict(response, accessKey: used.accessKey, what: call.what)
                    if response.status >= 500 { isRepeated = true }
                }
            } catch let error as TransferError {
                verdict = failures.verdict(error, what: call.what)
                if error.mayHaveArrived { isRepeated = true }
            }

            switch verdict {
            case .fail(let failure): throw failure
            case .refresh(let failure):
                let canRefresh = await credentials.discard(used)
                guard !hasRefreshed, canRefresh else { throw failure }
                hasRefreshed = true
            case .retry(let failure, let asked):
                let elapsed = ProcessInfo.processInfo.systemUptime - start
                guard let pause = retry.pause(after: attempt, elapsed: elapsed, asked: asked, chance: chance()) else {
                    throw attempt == 1 ? failure : exhausted(failure, attempt)
                }
                try await Task.sleep(for: .seconds(pause))
                if isRepeated, let found = try await between() { return Outcome(response: found, isRepeated: true) }
            }
        }
        throw CancellationError()
    }

    private func exhausted(_ failure: Failure, _ attempts: Int) -> Failure {
        Failure(failure.code, "\(failure.summary) (tried \(attempts) times)", hint: failure.hint)
    }

    /// The request as it goes out: every field we set is signed.
    func sign(_ call: Call, with credentials: Credentials) -> HTTPRequest {
        let now = clock.now()
        let path = location.path(call.key)
        var headers = call.headers
        headers.append((name: "host", value: location.host))
        headers.append((name: "x-amz-content-sha256", value: call.payloadHash))
        headers.append((name: "x-amz-date", value: now.compact))
        if let token = credentials.sessionToken {
            headers.append((name: "x-amz-security-token", value: token))
        }
        let signature = SigV4Signer(region: location.region, service: "s3").sign(
            SigV4Signer.Request(
                method: call.method, path: path, query: call.query, headers: headers, payloadHash: call.payloadHash),
            with: credentials, at: now)
        // libcurl makes the same Host field out of the URL.
        let sent = headers.filter { $0.name != "host" }.map { HTTPHeader($0.name, $0.value) }
        return HTTPRequest(
            call.method, location.url(path: path, query: SigV4Signer.canonicalQuery(call.query)),
            headers: sent
                + [
                    HTTPHeader("Authorization", signature.authorization),
                    HTTPHeader("Content-Type", call.body == nil ? "" : "application/octet-stream"),
                    HTTPHeader("User-Agent", "salvor"),
                ].filter { !$0.value.isEmpty },
            body: call.body,
            limits: HTTPRequest.Limits(
                connectSeconds: connectSeconds, stallSeconds: stallSeconds, maximumResponse: call.maximumResponse),
            route: route)
    }
}
