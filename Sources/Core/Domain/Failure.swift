// SPDX-License-Identifier: Apache-2.0

/// An error at the boundary of an operation: what failed, why, and what to type next.
///
/// `summary` is lower case without a full stop and names the object; `hint` is one sentence with the next step. Neither
/// ever holds a secret.
public struct Failure: Error, Sendable {
    /// Stable, dotted, machine-readable.
    public var code: Code
    /// What failed and why.
    public var summary: String
    /// What the operator can do about it.
    public var hint: String?

    public init(_ code: Code, _ summary: String, hint: String? = nil) {
        self.code = code
        self.summary = summary
        self.hint = hint
    }

    /// The same failure with `context` in front of its summary.
    public func prefixed(_ context: String) -> Failure {
        Failure(code, "\(context): \(summary)", hint: hint)
    }

    /// `error` as a failure: a `Failure` unchanged, anything else under `code`, with its own description.
    public static func wrapping(_ error: any Error, as code: Code = .internalError, _ context: String? = nil) -> Failure
    {
        if error is CancellationError { return Failure(.interrupted, "interrupted") }
        let failure = (error as? Failure) ?? Failure(code, String(describing: error))
        guard let context else { return failure }
        return failure.prefixed(context)
    }
}

extension Failure: CustomStringConvertible {
    public var description: String { summary }
}

/// The process exit statuses, one table for all commands (docs/errors.md).
public enum ExitStatus: Int32, Sendable, CaseIterable {
    case done = 0
    case failed = 1
    case usage = 2
    case partial = 3
    case refused = 4
    case notFound = 5
    case conflict = 6
    case storageUnreachable = 7
    case integrity = 8
    case key = 9
    case problemsFound = 10
    case interrupted = 130
    case terminated = 143
}

extension Failure {
    /// A stable error code and the exit status it leads to.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// Dotted text, such as `key.expired`.
        public let text: String
        /// The process exit status for this error.
        public let exitStatus: ExitStatus

        public init(_ text: String, _ exitStatus: ExitStatus) {
            self.text = text
            self.exitStatus = exitStatus
        }

        public var description: String { text }

        // 1: failed
        public static let internalError = Code("internal", .failed)
        public static let sourceFailed = Code("source.failed", .failed)
        public static let sourceUnreachable = Code("source.unreachable", .failed)
        public static let sourceDenied = Code("source.denied", .failed)
        public static let sourceChanged = Code("source.changed", .failed)
        public static let programFailed = Code("program.failed", .failed)
        public static let localInput = Code("local.io", .failed)
        public static let localSpace = Code("local.space", .failed)
        public static let stateDamaged = Code("state.damaged", .failed)
        public static let restoreFailed = Code("restore.failed", .failed)
        public static let verifyFailed = Code("restore.verify-failed", .failed)
        public static let notificationFailed = Code("notify.failed", .failed)
        // 2: usage or configuration
        public static let usage = Code("usage", .usage)
        public static let configuration = Code("configuration", .usage)
        public static let secretUnavailable = Code("configuration.secret", .usage)
        // 3
        public static let partial = Code("backup.partial", .partial)
        // 4: refused, nothing changed
        public static let preflightRefused = Code("preflight.refused", .refused)
        public static let versionRefused = Code("version.refused", .refused)
        public static let programMissing = Code("preflight.program-missing", .refused)
        public static let restoreBlocked = Code("restore.blocked", .refused)
        public static let pruneRefused = Code("prune.refused", .refused)
        public static let bundleHeld = Code("bundle.held", .refused)
        // 5: not found
        public static let bundleNotFound = Code("bundle.not-found", .notFound)
        public static let sourceNotFound = Code("source.not-found", .notFound)
        public static let planNotFound = Code("plan.not-found", .notFound)
        public static let repositoryNotFound = Code("repository.not-found", .notFound)
        public static let objectNotFound = Code("object.not-found", .notFound)
        public static let restoreNotFound = Code("restore.not-found", .notFound)
        public static let nothingSelected = Code("selection.empty", .notFound)
        // 6: locked or conflict
        public static let locked = Code("plan.locked", .conflict)
        public static let conflict = Code("object.exists", .conflict)
        public static let targetExists = Code("restore.target-exists", .conflict)
        // 7: storage
        public static let storageUnreachable = Code("storage.unreachable", .storageUnreachable)
        public static let storageDenied = Code("storage.denied", .storageUnreachable)
        public static let storageWrongSecret = Code("storage.wrong-secret", .storageUnreachable)
        public static let storageNoBucket = Code("storage.no-bucket", .storageUnreachable)
        public static let storageClockSkew = Code("storage.clock-skew", .storageUnreachable)
        public static let storageTLS = Code("storage.tls", .storageUnreachable)
        public static let storageFull = Code("storage.full", .storageUnreachable)
        public static let storageThrottled = Code("storage.throttled", .storageUnreachable)
        public static let storageFailed = Code("storage.failed", .storageUnreachable)
        public static let storageNoCredentials = Code("storage.no-credentials", .storageUnreachable)
        // 8: integrity
        public static let integrity = Code("integrity.damaged", .integrity)
        public static let signatureInvalid = Code("integrity.signature", .integrity)
        public static let chainBroken = Code("integrity.chain", .integrity)
        public static let formatTooNew = Code("integrity.format-too-new", .integrity)
        public static let baseMissing = Code("integrity.base-missing", .integrity)
        // 9: keys
        public static let keyMissing = Code("key.missing", .key)
        public static let keyExpired = Code("key.expired", .key)
        public static let keyRevoked = Code("key.revoked", .key)
        public static let keyUnusable = Code("key.unusable", .key)
        public static let noDecryptionKey = Code("key.no-decryption-key", .key)
        public static let signingFailed = Code("key.signing-failed", .key)
        // 10
        public static let problemsFound = Code("problems.found", .problemsFound)
        // 130
        public static let interrupted = Code("interrupted", .interrupted)
    }
}
