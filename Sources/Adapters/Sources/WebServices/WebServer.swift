// SPDX-License-Identifier: Apache-2.0
public import Domain
import Transfer

/// A system's HTTP interface, reached over the source's transport.
public struct WebServer: Sendable {
    /// The system's name for people, such as `Qdrant`.
    public let system: String
    public let settings: WebSettings
    private let transport: any Transport
    private let secrets: any SecretResolver
    /// How a key is sent.
    private let keyHeader: String
    private let keyPrefix: String
    private let timeoutSeconds: Int

    /// - Parameters:
    ///   - keyHeader: the header field that carries a key.
    ///   - keyPrefix: what stands before the key in it.
    ///   - timeoutSeconds: seconds without a byte that end a request, unless it says otherwise.
    public init(
        system: String, settings: WebSettings, environment: AdapterEnvironment, keyHeader: String,
        keyPrefix: String = "", timeoutSeconds: Int
    ) {
        self.system = system
        self.settings = settings
        transport = environment.transport
        secrets = environment.secrets
        self.keyHeader = keyHeader
        self.keyPrefix = keyPrefix
        self.timeoutSeconds = timeoutSeconds
    }

    /// For people: `Qdrant at http://127.0.0.1:6333`.
    public var name: String { "\(system) at \(settings.url)" }

    /// Does `body` while the server can be reached. Nothing is sent yet.
    ///
    /// - Throws: `Failure(.secretUnavailable)`, what the transport and `body` throw.
    public func use<Result: Sendable>(
        _ body: @Sendable (WebConnection) async throws -> Result
    ) async throws -> Result {
        var headers: [HTTPHeader] = []
        var secret: String?
        switch settings.login {
        case nil: break
        case .key(let reference):
            let key = try await secrets.resolve(reference)
            secret = key
            headers.append(HTTPHeader(keyHeader, keyPrefix + key))
        case .user(let user, let reference):
            secret = if let reference { try await secrets.resolve(reference) } else { nil }
            headers.append(HTTPHeader("Authorization", "Basic " + Base64.encode("\(user):\(secret ?? "")")))
        }
        // Shared with the closure, which must not capture variables.
        let (fields, known) = (headers, secret)
        return try await transport.reach(host: settings.host, port: settings.port) { place in
            // Straight there: these are servers beside us, and a proxy of the environment is for the world outside.
            let isElsewhere = place.host != settings.host || place.port != settings.port
            let route = HTTPRequest.Route(
                caFile: settings.caFile, proxy: .none,
                connectTo: isElsewhere ? HTTPRequest.Place(host: place.host, port: place.port) : nil)
            return try await body(
                WebConnection(
                    name: name, system: system, base: settings.url, route: route, headers: fields, secret: known,
                    timeoutSeconds: timeoutSeconds))
        }
    }
}

/// RFC 4648.
enum Base64 {
    static func encode(_ text: String) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bytes = Array(text.utf8)
        var result = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = Array(bytes[start..<min(start + 3, bytes.count)])
            let number = (0..<3).reduce(0) { $0 << 8 | ($1 < part.count ? Int(part[$1]) : 0) }
            for place in 0..<4 {
                result.append(place <= part.count ? digits[number >> (18 - 6 * place) & 63] : "=")
            }
        }
        return result
    }
}
