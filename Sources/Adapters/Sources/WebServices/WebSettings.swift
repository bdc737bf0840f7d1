// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Where a system's HTTP interface is and what lets us in: the `connection` part of a source's settings.
public struct WebSettings: Sendable {
    /// How requests are authorised.
    public enum Login: Sendable, Equatable {
        /// A key, sent in a header field of the system's own.
        case key(SecretReference)
        /// HTTP basic authentication.
        case user(String, SecretReference?)
    }

    public var usesTLS = false
    public var host = "127.0.0.1"
    public var port: Int
    /// What precedes every path, such as `/search`; empty or without a slash at its end.
    public var prefix = ""
    public var login: Login?
    /// A PEM file of authorities to trust instead of the system's.
    public var caFile: String?

    /// `http://127.0.0.1:6333`.
    public var url: String {
        let shown = host.contains(":") ? "[\(host)]" : host
        return "\(usesTLS ? "https" : "http")://\(shown):\(port)\(prefix)"
    }

    /// The server on this host's `port`.
    public init(port: Int) {
        self.port = port
    }

    /// The keys of a `connection` mapping, by the kind of login.
    private static func keys(_ usesKey: Bool) -> [String] {
        ["url", "host", "port", "tls", "ca-file"] + (usesKey ? ["api-key"] : ["user", "password"])
    }

    /// Reads `connection`; without one, the server is on this host's `port` and lets everybody in.
    ///
    /// - Parameter usesKey: whether the system takes a key rather than a user and a password.
    public init(_ reader: ConfigReader, port: Int, usesKey: Bool) throws {
        self.init(port: port)
        guard let connection = try reader.mapping("connection", allowed: Self.keys(usesKey)) else { return }
        if let text = try connection.string("url") {
            for key in ["host", "port", "tls"] where connection.node(key) != nil {
                throw connection.failure(key, "is part of 'url': give one or the other")
            }
            try take(url: text) { connection.failure("url", $0, hint: "Write it like 'http://127.0.0.1:\(port)'.") }
        }
        host = try connection.string("host") ?? host
        guard !host.hasPrefix("/") else { throw connection.failure("host", "cannot be a socket") }
        self.port = try connection.integer("port", in: 1...65535) ?? self.port
        usesTLS = try connection.bool("tls") ?? usesTLS
        caFile = try connection.string("ca-file")
        if usesKey {
            login = try connection.secret("api-key").map { .key($0) }
        } else if let user = try connection.string("user") {
            login = .user(user, try connection.secret("password"))
        } else if connection.node("password") != nil {
            throw connection.failure("password", "needs a 'user'")
        }
    }

    /// Takes the parts of a URL.
    public mutating func take(url: String, _ failure: (String) -> Failure) throws {
        guard let rest = url.droppingPrefix("http://") ?? url.droppingPrefix("https://") else {
            throw failure("must begin with http:// or https://, not '\(url)'")
        }
        usesTLS = url.hasPrefix("https://")
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        guard !authority.contains("@") else { throw failure("must not hold a user or password") }
        guard !path.contains("?"), !path.contains("#") else { throw failure("must end with a path") }
        prefix = String(path)
        while prefix.hasSuffix("/") { prefix.removeLast() }
        let colon = authority.last == "]" ? nil : authority.lastIndex(of: ":")
        var name = authority[..<(colon ?? authority.endIndex)]
        if let colon {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else {
                throw failure("names no port in '\(url)'")
            }
            port = number
        } else {
            port = usesTLS ? 443 : 80
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        guard !name.isEmpty else { throw failure("names no host in '\(url)'") }
        host = String(name)
    }

    /// The JSON Schema of `connection`.
    public static func schema(port: Int, usesKey: Bool) -> JSONValue {
        let secret: JSONValue = [
            "type": "string", "description": "a reference: file:, env:, credential:, command:",
        ]
        var properties: [String: JSONValue] = [
            "url": ["type": "string", "pattern": "^https?://", "description": "instead of host, port and tls"],
            "host": ["type": "string", "default": "127.0.0.1"],
            "port": ["type": "integer", "minimum": 1, "maximum": 65535, "default": .integer(Int64(port))],
            "tls": ["type": "boolean", "default": false],
            "ca-file": ["type": "string", "description": "authorities to trust instead of the system's, PEM"],
        ]
        if usesKey {
            properties["api-key"] = secret
        } else {
            properties["user"] = ["type": "string"]
            properties["password"] = secret
        }
        return ["type": "object", "additionalProperties": false, "properties": .object(properties)]
    }
}
