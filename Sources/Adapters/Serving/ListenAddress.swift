// SPDX-License-Identifier: Apache-2.0

/// Where a server listens: a numeric address and a port.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// `127.0.0.1` or `::1`.
    public let host: String
    /// 0: any free one.
    public let port: UInt16

    /// Whether only this host can reach it.
    public var isLoopback: Bool { host == "::1" || host.hasPrefix("127.") }

    var isIPv6: Bool { host.contains(":") }

    /// Reads `127.0.0.1:9618`, `[::1]:9618` or `localhost:9618`; nil when it is not one. Other names are not looked up: what
    /// a server listens on should not depend on a name server.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { return nil }
        } else {
            if host == "localhost" { host = "127.0.0.1" }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 4, parts.allSatisfy({ UInt8($0) != nil }) else { return nil }
        }
        self.host = host
        self.port = port
    }

    /// - Parameter host: a numeric address.
    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
