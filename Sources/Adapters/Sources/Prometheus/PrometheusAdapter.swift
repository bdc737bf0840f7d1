// SPDX-License-Identifier: Apache-2.0
import DataFolders
import Domain
import Files
import Foundation
import Glibc

/// The time series of one Prometheus server of this host (docs/sources/prometheus.md).
struct PrometheusAdapter: FreezingAdapter {
    /// The name of its only stream.
    static let stream = "blocks"

    let settings: PrometheusSettings
    let environment: AdapterEnvironment
    /// In a drill, what stands for the live server.
    var scratch: ScratchPrometheus?

    func server() async throws -> PrometheusServer {
        if let scratch {
            // Nobody may take the live one for it.
            guard let port = scratch.port else {
                throw Failure(.sourceUnreachable, "the server of the drill was not started yet")
            }
            return server(ofDrill: port)
        }
        let password: String? =
            if let reference = settings.password { try await environment.secrets.resolve(reference) } else { nil }
        return PrometheusServer(settings: settings, password: password, transport: environment.transport)
    }

    /// The drill's server at a port of this host.
    func server(ofDrill port: Int) -> PrometheusServer {
        var settings = settings
        (settings.port, settings.url) = (port, ScratchPrometheus.url(port))
        return PrometheusServer(settings: settings, password: nil, transport: environment.transport)
    }

    /// The storage folder, absolute.
    func dataDirectory(_ server: PrometheusServer) async throws -> String {
        if let path = settings.dataDirectory { return path }
        guard let path = try await server.flags()["storage.tsdb.path"], path.hasPrefix("/") else {
            throw Failure(
                .preflightRefused, "\(settings.url) does not tell the absolute path of its storage",
                hint: "Set 'data-directory' of the source.")
        }
        return path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    /// Files of this host are all that can be read.
    func requireLocal() throws {
        guard environment.transport.reachesLocalFiles else {
            throw Failure(
                .preflightRefused,
                "the storage of \(settings.url) is not reachable through \(environment.transport.description)",
                hint: "Run salvor on the host that has Prometheus's files.")
        }
    }

    func preflight() async -> [Check] {
        var checks: [Check] = []
        do {
            try requireLocal()
            let server = try await server()
            let version = try await server.version()
            checks.append(Check("connection", .ok, "\(version) at \(settings.url)"))
            let flags = try await server.flags()
            checks.append(
                flags["web.enable-admin-api"] == "true"
                    ? Check("admin API", .ok, "on")
                    : Check(
                        "admin API", .failed, "the admin API is off, and snapshots are part of it",
                        remedy: "Start Prometheus with --web.enable-admin-api, listening on loopback only.",
                        code: .preflightRefused))
            let folder = try await dataDirectory(server)
            guard access(folder, R_OK | W_OK | X_OK) == 0 else {
                checks.append(
                    Check(
                        "storage", .failed, "'\(folder)' may not be read and written by this user",
                        remedy: "Run as root or as Prometheus's user: a snapshot has to be read and removed there.",
                        code: .sourceDenied))
                return checks
            }
            checks.append(Check("storage", .ok, folder))
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            checks.append(Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }
}
