// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// A server to connect to, with what it takes to be let in.
struct RedisEndpoint: Sendable {
    /// How the password is come by.
    enum Password: Sendable {
        case none
        case reference(SecretReference, any SecretResolver)
        /// The scratch server's own, made up by Salvor.
        case known(String)
    }

    var transport: any Transport
    var host: String
    var port: Int
    var user: String?
    var password: Password
    var timeoutSeconds: Int
    /// TLS, when the server speaks it.
    var security: RedisSecurity?
    /// What to type when the user lacks a right.
    var remedy: String?

    /// For people.
    var name: String { host.hasPrefix("/") ? host : "\(host):\(port)" }

    /// The name as messages use it.
    private var object: String { "the server at \(name)" }

    /// A new connection, authenticated.
    ///
    /// - Throws: `Failure(.sourceUnreachable)` or `Failure(.sourceDenied)`.
    func connect() async throws -> RespConnection {
        let patience = min(timeoutSeconds, 20)
        var descriptor = try await transport.connect(host: host, port: port, timeoutSeconds: patience)
        let localAddress = RespConnection.localAddress(of: descriptor)
        if let security {
            descriptor = try await security.secured(descriptor, host: host, timeoutSeconds: patience, name: name)
        }
        let connection = RespConnection(
            descriptor: descriptor, name: name, timeoutSeconds: timeoutSeconds, localAddress: localAddress)
        let secret: String
        switch password {
        case .none: return connection
        case .known(let text): secret = text
        case .reference(let reference, let resolver): secret = try await resolver.resolve(reference)
        }
        do {
            _ = try await connection.command(["AUTH"] + (user.map { [$0] } ?? []) + [secret])
        } catch let refusal as RespRefusal {
            // A password for a server that asks for none: it would be let in without, so go on and say nothing.
            if refusal.message.contains("without any password configured") { return connection }
            throw failure(refusal)
        }
        return connection
    }

    /// What a refusal amounts to for the operator.
    func failure(_ refusal: RespRefusal, remedy: String? = nil) -> Failure {
        if refusal.message.hasPrefix("WRONGPASS") || refusal.message.contains("invalid password") {
            return Failure(
                .sourceDenied, "\(object) does not accept the password of user '\(user ?? "default")'",
                hint: "Check 'connection.user' and 'connection.password' of the source.")
        }
        if refusal.message.hasPrefix("NOAUTH") {
            return Failure(
                .sourceDenied, "\(object) asks for a password", hint: "Set 'connection.password' of the source.")
        }
        if refusal.isDenied {
            return Failure(.sourceDenied, "\(object): \(refusal)", hint: remedy ?? self.remedy)
        }
        return Failure(.sourceFailed, "\(object): \(refusal)")
    }

    /// Runs `body` with refusals turned into failures.
    func saying<Result>(remedy: String? = nil, _ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch let refusal as RespRefusal { throw failure(refusal, remedy: remedy) }
    }
}

extension RespConnection {
    /// `INFO`, read.
    func info() async throws -> RedisInfo { RedisInfo(try await command("INFO").text ?? "") }

    /// `CONFIG GET name`; nil when the server has no such parameter.
    func parameter(_ name: String) async throws -> String? {
        try await command("CONFIG", "GET", name).pairs[name]?.text
    }

    /// The reply, or nil when the server refuses, because it is too old or the user may not.
    func ifAllowed(_ words: String...) async throws -> RespValue? {
        do { return try await command(words) } catch is RespRefusal { return nil }
    }

    /// SHA-256 of the code of each function library by its name; empty before 7.0.
    func functions() async throws -> [String: SHA256Digest] {
        guard let reply = try await ifAllowed("FUNCTION", "LIST", "WITHCODE") else { return [:] }
        var result: [String: SHA256Digest] = [:]
        for library in reply.elements ?? [] {
            let fields = library.pairs
            if let name = fields["library_name"]?.text, case .bulk(let code)? = fields["library_code"] {
                result[name] = SHA256Digest.of(code)
            }
        }
        return result
    }

    /// Names of the loaded modules; empty when the server does not say.
    func modules() async throws -> [String] {
        let reply = try await ifAllowed("MODULE", "LIST")
        return (reply?.elements ?? []).compactMap { $0.pairs["name"]?.text }.sorted()
    }
}
