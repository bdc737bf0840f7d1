// SPDX-License-Identifier: Apache-2.0
import Domain
import WebServices

/// Meilisearch: documents, settings and API keys of its indexes, over HTTP.
struct MeilisearchAdapter: SourceAdapter {
    let settings: MeilisearchSettings
    let environment: AdapterEnvironment

    private var server: WebServer {
        WebServer(
            system: "Meilisearch", settings: settings.web, environment: environment, keyHeader: "Authorization",
            keyPrefix: "Bearer ", timeoutSeconds: settings.timeout)
    }

    /// Does `body` while the server can be reached.
    func withServer<Result: Sendable>(
        _ body: @Sendable (MeilisearchServer) async throws -> Result
    ) async throws -> Result {
        try await server.use { try await body(MeilisearchServer(web: $0, taskTimeout: settings.taskTimeout)) }
    }

    var name: String { server.name }

    /// The least rights of a key for backups.
    static let backupActions =
        "version, stats.get, indexes.get, settings.get, documents.get, tasks.get, keys.get"
}

/// Names of streams and facts.
enum MeilisearchNames {
    static let settings = "settings"
    static let keys = "keys"
    static let dump = "dump"

    static func stream(_ index: String) -> String { GivenNames.stream("documents", index) }

    static func documents(_ index: String) -> String { "index \(index) documents" }

    static func primaryKey(_ index: String) -> String { "index \(index) primary key" }

    static func settings(_ index: String) -> String { "index \(index) settings sha256" }

    static func sample(_ index: String) -> String { "index \(index) sampled documents sha256" }

    /// Tasks that change what indexes hold.
    static let changes = [
        "documentAdditionOrUpdate", "documentDeletion", "documentEdition", "settingsUpdate", "indexCreation",
        "indexUpdate", "indexDeletion", "indexSwap",
    ]
}
