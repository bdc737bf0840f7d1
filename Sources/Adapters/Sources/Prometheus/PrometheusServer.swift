// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Transfer

/// Calls of a server's API (https://prometheus.io/docs/prometheus/latest/querying/api/).
struct PrometheusServer: Sendable {
    let settings: PrometheusSettings
    let password: String?
    let transport: any Transport

    private static let client = HTTPClient()

    /// The `data` of a successful answer.
    ///
    /// - Throws: `Failure` with the server's own words.
    func call(_ method: String, _ path: String, patienceSeconds: Int = 60) async throws -> JSONValue {
        let reply = try await transport.reach(host: settings.host, port: settings.port) { port in
            let scheme = settings.url.hasPrefix("https:") ? "https" : "http"
            // A forwarded port has another name than the certificate.
            let host = scheme == "https" ? settings.host : port.host
            let authority = host.contains(":") ? "[\(host)]:\(port.port)" : "\(host):\(port.port)"
            var request = HTTPRequest(method, "\(scheme)://\(authority)\(settings.prefix)\(path)")
            if method == "POST" { request.body = [] }
            request.asksFirst = false
            request.limits.stallSeconds = patienceSeconds
            request.route = HTTPRequest.Route(caFile: settings.authorityFile, proxy: .none)
            if let user = settings.user, let password {
                let token = Data("\(user):\(password)".utf8).base64EncodedString()
                request.headers.append(HTTPHeader("Authorization", "Basic \(token)"))
            }
            do { return try await Self.client.send(request) } catch let error as TransferError {
                throw Failure(
                    .sourceUnreachable, "no answer from \(settings.url): \(error)",
                    hint: "Is Prometheus up, and is 'connection.url' of the source right?")
            }
        }
        if reply.status == 401 || reply.status == 403 {
            throw Failure(
                .sourceDenied, "\(settings.url) refuses \(path) (HTTP \(reply.status))",
                hint: "Check 'connection.user' and 'connection.password' of the source.")
        }
        // What is no JSON is told by its status below.
        let value = try? JSONDecoder().decode(JSONValue.self, from: Data(reply.body))
        guard reply.isSuccess, value?["status"]?.string == "success", let data = value?["data"] else {
            let words = value?["error"]?.string ?? "HTTP \(reply.status)"
            if words.contains("admin APIs disabled") {
                throw Failure(
                    .preflightRefused, "\(settings.url): \(words)",
                    hint: "Start Prometheus with --web.enable-admin-api, listening on loopback only.")
            }
            throw Failure(.sourceFailed, "\(settings.url)\(path): \(words)")
        }
        return data
    }

    /// Product and version.
    func version() async throws -> String {
        "Prometheus \(try await call("GET", "/api/v1/status/buildinfo")["version"]?.string ?? "of unknown version")"
    }

    /// The flags it was started with.
    func flags() async throws -> [String: String] {
        guard case .object(let flags) = try await call("GET", "/api/v1/status/flags") else { return [:] }
        return flags.compactMapValues(\.string)
    }
}
