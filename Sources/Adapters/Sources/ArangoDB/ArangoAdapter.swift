// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// ArangoDB: dumps of its databases with system collections, graphs and views, and its users.
struct ArangoAdapter: FreezingAdapter {
    let settings: ArangoSettings
    let environment: AdapterEnvironment

    private var server: WebServer {
        WebServer(
            system: "ArangoDB", settings: settings.web, environment: environment, keyHeader: "Authorization",
            timeoutSeconds: settings.timeout)
    }

    var tools: ArangoTools { ArangoTools(settings: settings, environment: environment) }

    var name: String { server.name }

    /// Does `body` while the server can be reached.
    func withServer<Result: Sendable>(
        _ body: @Sendable (ArangoServer) async throws -> Result
    ) async throws -> Result {
        try await server.use { try await body(ArangoServer(web: $0)) }
    }

    func preflight() async -> [Check] {
        do {
            return try await withServer { server in
                let version = try await server.version()
                var checks = [Check("connection", .ok, "connected to \(server.web.name), version \(version)")]
                for program in [settings.dumpProgram, settings.restoreProgram] {
                    let own = try await tools.version(of: program)
                    checks.append(
                        own == version
                            ? Check(program, .ok, "version \(own)")
                            : Check(
                                program, .failed, "version \(own), and the server is \(version)",
                                remedy: "Install the client tools of the server's version.", code: .versionRefused))
                }
                let all = try await server.databases()
                let missing = settings.databases.missing(from: all)
                checks.append(
                    missing.isEmpty
                        ? Check("databases", .ok, "\(all.filter(settings.databases.contains).count) of \(all.count)")
                        : Check(
                            "databases", .failed, "there is no '\(missing.joined(separator: "', '"))'",
                            remedy: "Correct 'databases' of the source.", code: .sourceFailed))
                for database in all where settings.databases.contains(database) {
                    _ = try await server.collections(database)
                }
                if try await server.role() != "SINGLE" {
                    checks.append(
                        Check(
                            "cluster", .warning, "a dump of a cluster is not of one moment while it is written to",
                            remedy: "Stop writes during the backup, or make hot backups of the whole deployment."))
                }
                if try await server.users() == nil {
                    checks.append(
                        Check(
                            "users", .warning, "the user may not list users, so they are not backed up",
                            remedy: "Grant 'rw' on database _system."))
                }
                let notes = try await environment.freezeNotes.all()
                if !notes.isEmpty {
                    checks.append(
                        Check(
                            "left behind", .warning, notes.map(\.what).joined(separator: "; "),
                            remedy: "The next backup removes it."))
                }
                return checks
            }
        } catch {
            let failure = Failure.wrapping(error, as: .sourceUnreachable)
            return [Check("connection", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }
}

/// Names of streams and facts.
enum ArangoNames {
    static let users = "users"

    static func stream(_ database: String) -> String { GivenNames.stream("dump", database) }

    static func documents(_ collection: String, _ database: String) -> String {
        "database \(database) collection \(collection) documents"
    }

    static func graphs(_ database: String) -> String { "database \(database) graphs" }

    static func views(_ database: String) -> String { "database \(database) views" }
}
