// SPDX-License-Identifier: Apache-2.0
import ByteStreams

/// One mail for one mail server, with its message in memory.
public struct MailRequest: Sendable {
    /// A name or an address; an IPv6 address in brackets.
    public var host: String
    public var port: Int
    public var security: Security
    /// What this host calls itself.
    public var helloName: String
    /// nil: no authentication.
    public var login: (user: String, password: String)?
    /// The sender in the envelope.
    public var from: String
    /// The receivers in the envelope.
    public var recipients: [String]
    /// Headers and text, lines ended by CR and LF.
    public var message: [UInt8]
    public var limits: HTTPRequest.Limits
    /// A PEM file of certificate authorities to trust **instead of** the system's; nil: the system's.
    public var caFile: String?

    /// How the connection is protected.
    public enum Security: Sendable {
        case off
        /// STARTTLS, or nothing is sent.
        case startTLS
        /// TLS from the first byte.
        case implicit
    }

    public init(
        host: String, port: Int, security: Security, helloName: String, login: (user: String, password: String)?,
        from: String, recipients: [String], message: [UInt8], limits: HTTPRequest.Limits, caFile: String?
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.helloName = helloName
        self.login = login
        self.from = from
        self.recipients = recipients
        self.message = message
        self.limits = limits
        self.caFile = caFile
    }

    /// Sends the mail, over a connection of its own; all recipients get it, or none.
    ///
    /// - Returns: the server's words when it took the message.
    /// - Throws: `TransferError`; `CancellationError` when the task is cancelled.
    public func send() async throws -> String {
        try await onThread { try $0.send(self, cancellation: $1) }
    }

    /// Goes as far as a mail would without one: connects, protects the connection, logs in.
    ///
    /// - Returns: when the certificate that the server showed ends, in seconds since 1970; nil: it showed none.
    public func greet() async throws -> Int64? {
        try await onThread { try $0.greet(self, cancellation: $1) }
    }

    private func onThread<Result: Sendable>(
        _ body: @escaping @Sendable (CurlHandle, CancellationFlag) throws -> Result
    ) async throws -> Result {
        try Task.checkCancellation()
        do {
            return try await CancellationFlag.run { flag in try body(try CurlHandle(), flag) }
        } catch let error as TransferError where error.kind == .cancelled {
            throw CancellationError()
        }
    }
}
