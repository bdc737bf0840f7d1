// SPDX-License-Identifier: Apache-2.0

/// Why no whole reply was received. A reply with any status, 503 included, is not an error here.
public struct TransferError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, so that callers can decide about a retry.
    public enum Kind: String, Sendable, CaseIterable {
        /// The request could not be made at all: bad URL, bad option, unusable library.
        case invalid
        /// The name of the server or proxy is not known.
        case resolve
        /// Nobody answers at that address and port, or not in time.
        case connect
        /// No trusted, encrypted connection: unknown authority, wrong name, expired certificate, bad CA file.
        case tls
        /// Connected, then silence for longer than allowed.
        case stalled
        /// The connection broke before the reply was whole.
        case reset
        /// The reply ended before the length it announced, or announced none.
        case shortBody
        /// The reply is larger than allowed.
        case tooLarge
        case cancelled
        /// A mail server does not take the user and password.
        case denied
        /// A mail server refuses the sender, a recipient or the message.
        case refused
    }

    public var kind: Kind
    /// libcurl's own words; names hosts and files, never header values.
    public var detail: String
    /// A mail server's reply, such as 550; nil: none, or not of a mail server.
    public var replyCode: Int?

    public init(_ kind: Kind, _ detail: String, replyCode: Int? = nil) {
        self.kind = kind
        self.detail = detail
        self.replyCode = replyCode
    }

    public var description: String { detail }

    /// Whether the server may have acted on the request all the same.
    public var mayHaveArrived: Bool {
        switch kind {
        case .invalid, .resolve, .connect, .tls, .denied, .refused: false
        case .stalled, .reset, .shortBody, .tooLarge, .cancelled: true
        }
    }
}
