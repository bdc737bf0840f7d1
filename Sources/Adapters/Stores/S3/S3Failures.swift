// SPDX-License-Identifier: Apache-2.0
import Domain
import Transfer

/// Turns what servers and libcurl report into failures that say what to do, and says which of them a retry may cure.
struct S3Failures: Sendable {
    let location: S3Location
    /// The local clock, to tell how wrong it is.
    let clock: any WallClock

    /// What to do about a failed attempt.
    enum Verdict {
        /// Try again, at the earliest after the server's wish; if that does not help, this is the failure.
        case retry(Failure, after: Double?)
        case fail(Failure)
        /// The credentials' time is over: try again with fresh ones, else this is the failure.
        case refresh(Failure)

        var failure: Failure {
            switch self {
            case .retry(let failure, _), .fail(let failure), .refresh(let failure): failure
            }
        }
    }

    /// For a reply that is no success. `what` is the action and its object, such as `reading 'salvor.json'`.
    func verdict(_ response: HTTPResponse, accessKey: String, what: String) -> Verdict {
        let error = ErrorReply(response)
        if let verdict = accessVerdict(error, response, accessKey: accessKey, what: what) { return verdict }
        let after = RetryPolicy.seconds(retryAfter: response.header("Retry-After"), now: clock.now())
        switch (error.status, error.code) {
        case (_, "NoSuchBucket"):
            return .fail(
                Failure(
                    .storageNoBucket, "bucket '\(location.bucket)' does not exist at \(location.endpoint)",
                    hint: "Create the bucket, or correct repository.store in the plan."))
        case (404, _):
            return .fail(Failure(.objectNotFound, "\(what): it is not in \(location.description)"))
        case (412, _):
            return .fail(Failure(.conflict, "\(what): it already exists in \(location.description)"))
        case (416, _):
            return .fail(Failure(.integrity, "\(what): it is shorter than that"))
        case (409, "ConditionalRequestConflict"), (409, "OperationAborted"):
            return .retry(Failure(.conflict, "\(what): somebody else keeps writing it: \(error.words)"), after: after)
        case (_, "SlowDown"), (_, "RequestLimitExceeded"), (_, "Throttling"), (_, "ThrottlingException"),
            (_, "TooManyRequests"), (429, _):
            return .retry(throttled(what, error), after: after)
        case (503, _):
            return .retry(throttled(what, error), after: after)
        case (507, _), (_, "QuotaExceeded"), (_, "XMinioStorageFull"), (_, "InsufficientCapacity"):
            return .fail(
                Failure(
                    .storageFull, "\(location.description) is full: \(what): \(error.words)",
                    hint: "Raise the bucket's quota, or free space (see 'salvor prune')."))
        case (501, _):
            return .fail(Failure(.storageUnsupported, "\(what): the store cannot do that: \(error.words)"))
        case (_, "RequestTimeout"), (_, "BadDigest"), (_, "XAmzContentSHA256Mismatch"), (_, "IncompleteBody"),
            (_, "InvalidDigest"), (_, "XAmzContentChecksumMismatch"), (408, _), (500..., _):
            // The digests are right where they are made, so a store that disagrees got other bytes: send them again.
            return .retry(Failure(.storageFailed, "\(what): \(location.endpoint) answers \(error.words)"), after: after)
        default:
            return .fail(Failure(.storageFailed, "\(what): \(location.endpoint) answers \(error.words)"))
        }
    }

    private func throttled(_ what: String, _ error: ErrorReply) -> Failure {
        Failure(
            .storageThrottled, "\(what): \(location.endpoint) is busy: \(error.words)",
            hint: "Try again later, or use fewer uploads at once (--concurrency).")
    }

    /// The verdict when it is about who asks, when and where.
    private func accessVerdict(
        _ error: ErrorReply, _ response: HTTPResponse, accessKey: String, what: String
    ) -> Verdict? {
        switch (error.status, error.code) {
        case (_, "SignatureDoesNotMatch"):
            return .fail(
                Failure(
                    .storageWrongSecret,
                    "\(location.endpoint) refuses the signature of access key \(accessKey): the secret key is wrong",
                    hint: "Correct the secret key; it may have been cut or have a blank at its end."))
        case (_, "InvalidAccessKeyId"):
            return .fail(
                Failure(
                    .storageDenied, "\(location.endpoint) does not know the access key \(accessKey)",
                    hint: "Correct the access key, or check that it belongs to this endpoint."))
        case (_, "RequestTimeTooSkewed"), (_, "RequestInTheFuture"), (_, "RequestExpired"):
            return .fail(clockFailure(response))
        case (_, "ExpiredToken"), (_, "ExpiredTokenException"), (_, "TokenRefreshRequired"):
            return .refresh(
                Failure(
                    .storageDenied, "the session token of access key \(accessKey) has expired",
                    hint: "Fetch new temporary credentials."))
        case (301, _), (307, _), (308, _), (_, "PermanentRedirect"), (_, "AuthorizationHeaderMalformed"),
            (_, "IllegalLocationConstraintException"):
            return .fail(elsewhere(error, response))
        case (_, "InvalidToken"), (401, _), (403, _):
            return .fail(
                Failure(
                    .storageDenied,
                    "access key \(accessKey) may not do this in \(location.description): "
                        + "\(what): \(error.words)",
                    hint: "Give the key the permission, or check the bucket's policy."))
        default:
            return nil
        }
    }

    private func clockFailure(_ response: HTTPResponse) -> Failure {
        var amount = ""
        if let date = response.header("Date").flatMap(HTTPDate.parse) {
            let ahead = clock.now().seconds - date.seconds
            let minutes = (abs(ahead) + 30) / 60
            let size = abs(ahead) < 90 ? "\(abs(ahead)) seconds" : "\(minutes) minutes"
            amount = ": it is \(size) \(ahead > 0 ? "ahead of" : "behind") the store's"
        }
        return Failure(
            .storageClockSkew, "\(location.endpoint) refuses requests because this host's clock is wrong\(amount)",
            hint: "Set the clock, and let a time service such as chrony keep it.")
    }

    private func elsewhere(_ error: ErrorReply, _ response: HTTPResponse) -> Failure {
        if let region = error.region, region != location.region {
            return Failure(
                .configuration, "bucket '\(location.bucket)' is in region \(region), not \(location.region)",
                hint: "Set repository.s3.region to \(region).")
        }
        let target = response.header("Location").map { " (to \($0))" } ?? ""
        return Failure(
            .configuration,
            "\(location.endpoint) sends requests for bucket '\(location.bucket)' elsewhere\(target): "
                + error.words,
            hint: "Set repository.s3.endpoint and repository.s3.region to those of the bucket.")
    }

    /// For a transfer that gave no reply.
    func verdict(_ error: TransferError, what: String) -> Verdict {
        let server = location.endpoint
        switch error.kind {
        case .resolve, .connect:
            return .retry(
                Failure(
                    .storageUnreachable, "\(server) cannot be reached: \(error.detail)",
                    hint: "Check the endpoint, the network and the proxy."), after: nil)
        case .stalled, .reset, .shortBody:
            return .retry(
                Failure(
                    .storageUnreachable, "\(what): the connection to \(server) broke: \(error.detail)",
                    hint: "Check the network between this host and the store."), after: nil)
        case .tls:
            return .fail(
                Failure(
                    .storageTLS, "no trusted connection to \(server): \(error.detail)",
                    hint: "Set repository.s3.ca-file to the authority that signed the store's certificate."))
        case .tooLarge:
            return .fail(Failure(.storageFailed, "\(what): \(error.detail)"))
        // The last two are a mail server's.
        case .invalid, .cancelled, .denied, .refused:
            return .fail(Failure(.configuration, "\(what): \(error.detail)"))
        }
    }
}
