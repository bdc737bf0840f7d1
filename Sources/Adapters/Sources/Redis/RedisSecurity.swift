// SPDX-License-Identifier: Apache-2.0
import Domain
import Transfer

/// TLS with a server, as the plan wants it.
struct RedisSecurity: Sendable, Equatable {
    var identity = SecureSocket.Identity()
    /// What the server's certificate is for, when that is not the host of the connection.
    var serverName: String?

    /// What `tls` of the connection says; nil: there is none.
    init?(_ connection: ConfigReader) throws {
        let keys = ["ca-file", "certificate-file", "key-file", "server-name"]
        guard let tls = try connection.mapping("tls", allowed: keys) else { return nil }
        for key in keys.dropLast() {
            if let path = try tls.string(key), !path.hasPrefix("/") {
                throw tls.failure(key, "must be an absolute path, not '\(path)'")
            }
        }
        identity.authorityFile = try tls.string("ca-file")
        identity.certificateFile = try tls.string("certificate-file")
        identity.keyFile = try tls.string("key-file")
        if (identity.certificateFile == nil) != (identity.keyFile == nil) {
            throw tls.failure("certificate-file", "and 'key-file' belong together")
        }
        serverName = try tls.string("server-name")
    }

    /// Makes the handshake over a connection, which is taken over.
    ///
    /// - Throws: `Failure(.sourceUnreachable)`.
    func secured(_ descriptor: Int32, host: String, timeoutSeconds: Int, name: String) async throws -> Int32 {
        do {
            return try await SecureSocket.open(
                over: descriptor, host: serverName ?? host, identity: identity, timeoutSeconds: timeoutSeconds)
        } catch let error as TransferError {
            throw Failure(
                .sourceUnreachable, "no TLS with the server at \(name): \(error)",
                hint: "Does that port speak TLS? Check 'connection.tls' of the source: the authority's 'ca-file', this "
                    + "client's certificate, and 'server-name' if the certificate is for another name.")
        }
    }

    static let schema: JSONValue = [
        "type": "object",
        "additionalProperties": false,
        "properties": [
            "ca-file": [
                "type": "string", "pattern": "^/", "description": "authorities to trust; default: the system's",
            ],
            "certificate-file": ["type": "string", "pattern": "^/", "description": "this client's certificate"],
            "key-file": ["type": "string", "pattern": "^/"],
            "server-name": ["type": "string", "description": "name in the server's certificate; default: the host"],
        ],
    ]
}
