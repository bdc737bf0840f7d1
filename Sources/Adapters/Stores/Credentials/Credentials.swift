// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What signs requests. Printing it shows neither the secret nor the token.
public struct Credentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// Not a secret: it names the secret.
    public var accessKey: String
    public var secretKey: String
    public var sessionToken: String?
    /// From when they are refused; nil: never.
    public var expires: Timestamp?

    public init(accessKey: String, secretKey: String, sessionToken: String? = nil, expires: Timestamp? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
        self.expires = expires
    }

    public var description: String { "credentials \(accessKey)" }
    public var debugDescription: String { description }
}

/// One place where credentials may come from.
public protocol CredentialsProvider: Sendable {
    /// The place, for error messages: `the environment`.
    var name: String { get }

    /// Credentials; nil when this place is not set up on this machine. A place that is set up but does not work throws, so
    /// that a mistake never leads to somebody else's credentials being used.
    func credentials() async throws -> Credentials?
}

/// Credentials that are given.
public struct FixedCredentials: CredentialsProvider {
    private let value: Credentials

    public init(_ value: Credentials) {
        self.value = value
    }

    public var name: String { "the plan" }

    public func credentials() async throws -> Credentials? { value }
}
