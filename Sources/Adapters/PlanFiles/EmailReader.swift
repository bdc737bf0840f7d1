// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads the `email` of a channel.
enum EmailReader {
    static func read(_ reader: ConfigReader) throws -> EmailChannel {
        guard let to = try reader.strings("to"), !to.isEmpty else {
            throw reader.failure("to", "must list at least one address")
        }
        for address in to { try check(address, "to", reader) }
        let from = try reader.string("from")
        if let from { try check(from, "from", reader) }
        let server = try server(reader)
        let user = try reader.string("user")
        let password = try reader.secret("password")
        guard (user == nil) == (password == nil) else {
            throw reader.failure(user == nil ? "user" : "password", "is required beside the other one")
        }
        let security = try security(reader, server)
        if security == .off, password != nil, !ChannelURL.isLoopback(server.host) {
            throw reader.failure("password", "would be sent in the clear", hint: "Leave 'tls: off' out.")
        }
        return EmailChannel(
            to: to, from: from, host: server.host, port: server.port ?? port(security, hasPassword: password != nil),
            security: security, user: user, password: password)
    }

    private static func port(_ security: EmailChannel.Security, hasPassword: Bool) -> Int {
        if security == .implicit { return 465 }
        return hasPassword ? 587 : 25
    }

    /// A mail server on this very host mostly has no certificate, and nobody listens in between.
    private static func security(
        _ reader: ConfigReader, _ server: (scheme: String, host: String, port: Int?)
    ) throws -> EmailChannel.Security {
        let chosen = try reader.choice("tls", of: ["required", "off"])
        guard server.scheme == "smtp" else {
            guard chosen != "off" else { throw reader.failure("tls", "cannot be off with smtps://") }
            return .implicit
        }
        if let chosen { return chosen == "off" ? .off : .required }
        return ChannelURL.isLoopback(server.host) ? .off : .required
    }

    private static func server(_ reader: ConfigReader) throws -> (scheme: String, host: String, port: Int?) {
        let text = try reader.requiredString("smtp")
        let hint = "Write it like smtp://mail.example.com:587 or smtps://mail.example.com."
        for scheme in ["smtp", "smtps"] {
            guard let rest = text.droppingPrefix("\(scheme)://") else { continue }
            guard !rest.contains("@") else {
                // The text is not repeated: it may hold a password.
                throw reader.failure(
                    "smtp", "must not hold a user or password", hint: "Use the keys user and password.")
            }
            // The port stands behind the last colon that is not inside an address in brackets.
            let end = rest.lastIndex(of: "]").map { rest.index(after: $0) } ?? rest.startIndex
            let colon = rest[end...].lastIndex(of: ":")
            let host = String(rest[..<(colon ?? rest.endIndex)])
            let port = colon.map { Int(rest[rest.index(after: $0)...]) ?? 0 }
            let isName = host.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }
            guard !host.isEmpty, isName, port.map({ (1...65_535).contains($0) }) ?? true else { break }
            return (scheme, host, port)
        }
        throw reader.failure("smtp", "is not the address of a mail server", hint: hint)
    }

    /// A plain address: what goes into the envelope as it is.
    private static func check(_ address: String, _ key: String, _ reader: ConfigReader) throws {
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain =
            address.utf8.allSatisfy { $0 > 32 && $0 < 127 } && !address.contains { "<>(),;:\\\"[]".contains($0) }
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") && !$0.hasSuffix(".") }), isPlain,
            address.utf8.count <= 254
        else {
            throw reader.failure(key, "'\(address)' is not a mail address", hint: "Write it like ops@example.com.")
        }
    }
}
