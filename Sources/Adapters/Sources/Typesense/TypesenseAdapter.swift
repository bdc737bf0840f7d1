// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import WebServices

/// Typesense: documents, schema, synonyms and overrides of its collections, and aliases.
struct TypesenseAdapter: SourceAdapter {
    let settings: TypesenseSettings
    let environment: AdapterEnvironment
    /// In a drill, the key of the server that stands for the live one.
    var scratchKey: String?

    private var server: WebServer {
        WebServer(
            system: "Typesense", settings: settings.web, environment: environment,
            keyHeader: "X-TYPESENSE-API-KEY", timeoutSeconds: settings.timeout)
    }

    var name: String { server.name }

    /// Does `body` while the server can be reached.
    func withServer<Result: Sendable>(
        _ body: @Sendable (TypesenseServer) async throws -> Result
    ) async throws -> Result {
        try await server.use { try await body(TypesenseServer(web: $0)) }
    }

    func preflight() async -> [Check] {
        do {
            return try await withServer { server in
                let version = try await server.version()
                var checks = [Check("connection", .ok, "connected to \(server.web.name), version \(version)")]
                if try await !server.isHealthy() {
                    checks.append(
                        Check(
                            "health", .failed, "the server says that it is not well",
                            remedy: "Look in its log: often disk or memory.", code: .sourceFailed))
                }
                let all = try await server.collections().keys.sorted()
                let missing = settings.collections.missing(from: all)
                checks.append(
                    missing.isEmpty
                        ? Check(
                            "collections", .ok, "\(all.filter(settings.collections.contains).count) of \(all.count)")
                        : Check(
                            "collections", .failed, "there is no '\(missing.joined(separator: "', '"))'",
                            remedy: "Correct 'collections' of the source.", code: .sourceFailed))
                _ = try await server.aliases()
                if try await server.keys() == nil {
                    checks.append(
                        Check(
                            "keys", .warning, "the key may not list API keys, so their descriptions are not backed up",
                            remedy: "Give the key the action keys:list."))
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
enum TypesenseNames {
    static let settings = "settings"
    static let keys = "keys"
    static let rules = ["synonyms", "overrides"]

    static func stream(_ collection: String) -> String { GivenNames.stream("documents", collection) }

    static func documents(_ collection: String) -> String { "collection \(collection) documents" }

    static func digest(_ collection: String) -> String { "collection \(collection) documents digest" }

    static func fields(_ collection: String) -> String { "collection \(collection) fields" }

    static func rules(_ kind: String, _ collection: String) -> String { "collection \(collection) \(kind)" }

    /// Names and types of fields, as one text.
    static func fields(of schema: JSONValue) -> Facts.Value {
        .text(
            (schema["fields"]?.array ?? [])
                .map { "\($0["name"]?.string ?? "?"):\($0["type"]?.string ?? "?")" }.sorted().joined(separator: " "))
    }
}
