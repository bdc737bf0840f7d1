// SPDX-License-Identifier: Apache-2.0
import Domain

/// Counts staged databases and compares with what was counted at capture.
struct Verifying: Sendable {
    let server: Server
    let restore: SourceRestore
    let journal: any RestoreJournal
    let state: RestoreState

    func compare() async throws -> [FactComparison] {
        let cluster = try ClusterRecord(restore.contents.restoreData)
        let present = try await DatabaseList.read(server)
        var comparisons: [FactComparison] = []
        for item in state.items {
            guard item.stage == .staged, let staged = present.with(id: item.stagedID), staged.name == item.staged else {
                throw Failure(
                    .restoreFailed, "the database '\(item.source)' is not staged", hint: "Stage the restore again.")
            }
            let recorded = Facts(
                restore.contents.facts.values.filter { $0.key.hasPrefix(CatalogFacts.prefix(item.source)) })
            let counting = Self.counting(of: recorded)
            let (found, extensions) = try await SnapshotSession.run(server, database: item.staged) { session in
                let facts = try await CatalogFacts(
                    session: session, database: item.source, counting: counting, place: .restored
                ).collect()
                let extensions = try await session.rows(
                    DatabaseRecord.Extension.self, "SELECT extname AS name, extversion AS version FROM pg_extension")
                return (facts, extensions)
            }
            comparisons += recorded.compared(with: found)
            for needed in cluster.databases.first(where: { $0.name == item.source })?.extensions ?? [] {
                if let version = extensions.first(where: { $0.name == needed.name })?.version, version != needed.version
                {
                    await journal.note(
                        "extension '\(needed.name)' of database '\(item.source)' is \(version), was \(needed.version)")
                }
            }
        }
        return comparisons
    }

    /// How the bundle's tables were counted, whatever the plan says today.
    private static func counting(of facts: Facts) -> PostgreSQLSettings.Counting {
        let hasWords = facts.values.contains { name, value in
            if name.hasSuffix(" rows"), case .text = value { true } else { false }
        }
        return hasWords ? .estimate : .exact
    }
}
