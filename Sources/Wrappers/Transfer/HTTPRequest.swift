// SPDX-License-Identifier: Apache-2.0

/// One HTTP request with its body in memory.
public struct HTTPRequest: Sendable {
    /// `GET`, `HEAD`, `PUT`, `POST` or `DELETE`.
    public var method: String
    /// Absolute, `http:` or `https:`, already percent-encoded; it is sent as it is, dot segments included.
    public var url: String
    /// Sent in this order. `Host` and `Content-Length` are added by libcurl.
    public var headers: [HTTPHeader]
    /// What is sent; nil sends no body and no length (unlike an empty body).
    public var body: [UInt8]?
    public var limits: Limits
    public var route: Route
    /// Whether the server is asked before a body is sent (`Expect: 100-continue`): not worth its while for a small one,
    /// since a server that does not know the question costs a third of a second.
    public var asksFirst = true
    /// Whether it may only be sent once: libcurl sends a request again by itself when a connection that was used before turns
    /// out to be dead, and cannot know whether the server has acted on it.
    public var isSentOnce = false

    public init(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil, limits: Limits = Limits(),
        route: Route = Route()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.limits = limits
        self.route = route
    }

    /// How long and how much a transfer may take. There is no limit on the whole time unless asked for, since a slow
    /// line is not a broken one.
    public struct Limits: Sendable {
        /// Seconds for name, connection and TLS handshake together.
        public var connectSeconds: Double
        /// Seconds without a single byte in either direction, the server's thinking time included.
        public var stallSeconds: Int
        /// Seconds for everything; nil: no limit.
        public var totalSeconds: Double?
        /// Bytes of body accepted.
        public var maximumResponse: Int

        public init(
            connectSeconds: Double = 20, stallSeconds: Int = 60, totalSeconds: Double? = nil,
            maximumResponse: Int = 16 << 20
        ) {
            self.connectSeconds = connectSeconds
            self.stallSeconds = stallSeconds
            self.totalSeconds = totalSeconds
            self.maximumResponse = maximumResponse
        }
    }

    /// The way to the server.
    public struct Route: Sendable {
        /// A PEM file of certificate authorities to trust **instead of** the system's; nil: the system's.
        public var caFile: String?
        public var proxy: Proxy
        /// The host and port to connect to instead of the URL's, which still names the server in the request and in its
        /// certificate: for ports that are forwarded. nil: the URL's.
        public var connectTo: Place?

        public init(caFile: String? = nil, proxy: Proxy = .environment, connectTo: Place? = nil) {
            self.caFile = caFile
            self.proxy = proxy
            self.connectTo = connectTo
        }
    }

    /// A host (name, IPv4 address, or IPv6 address without brackets) and a port.
    public struct Place: Sendable, Equatable {
        public var host: String
        public var port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// Which HTTP proxy to go through.
    public enum Proxy: Sendable, Equatable {
        /// What `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say, as libcurl reads them.
        case environment
        /// Straight to the server, whatever the environment says.
        case none
        /// `http://host:port`.
        case url(String)
    }
}

/// One header field.
public struct HTTPHeader: Sendable, Equatable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A whole reply: the body has the length the server announced.
public struct HTTPResponse: Sendable {
    public var status: Int
    /// The final reply's fields in order, without those of interim replies (100 Continue).
    public var headers: [HTTPHeader]
    public var body: [UInt8]
    /// Bytes of body that were given away while they came, and are not in `body`.
    public var handedOver: UInt64

    public init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = [], handedOver: UInt64 = 0) {
        self.status = status
        self.headers = headers
        self.body = body
        self.handedOver = handedOver
    }

    /// The first value of a field, whose name is compared without regard to case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// Whether the status is 200 to 299.
    public var isSuccess: Bool { (200..<300).contains(status) }
}
