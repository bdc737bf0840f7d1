// SPDX-License-Identifier: Apache-2.0
import Domain

/// Which databases of a bundle are restored, and under which names.
struct RestoreChoice: Sendable {
    var cluster: ClusterRecord
    /// In order of name.
    var databases: [(record: DatabaseRecord, live: String)]

    /// - Throws: `Failure(.nothingSelected)` when a pattern matches nothing, `.usage` for a rename that cannot be.
    init(_ restore: SourceRestore) throws {
        cluster = try ClusterRecord(restore.contents.restoreData)
        let known = cluster.databases
        var chosen = known
        if !restore.include.isEmpty {
            for pattern in restore.include where !known.contains(where: { NamePattern(pattern).matches($0.name) }) {
                throw Failure(
                    .nothingSelected, "no database of the bundle matches '\(pattern)'",
                    hint: "The bundle has: \(known.map(\.name).joined(separator: ", ")).")
            }
            chosen = known.filter { record in
                restore.include.contains {
                    // A name that is there as it stands means that database only, whatever characters it has.
                    let pattern = $0
                    return known.contains { $0.name == pattern }
                        ? pattern == record.name : NamePattern(pattern).matches(record.name)
                }
            }
        }
        guard !chosen.isEmpty else { throw Failure(.nothingSelected, "the bundle holds no database to restore") }
        if let name = restore.rename {
            guard chosen.count == 1 else {
                throw Failure(
                    .usage, "\(chosen.count) databases cannot all be restored as '\(name)'",
                    hint: "Choose one with --include.")
            }
            guard (1...DatabaseNames.limit).contains(name.utf8.count), !name.contains("\0") else {
                throw Failure(.usage, "a database name has 1 to \(DatabaseNames.limit) bytes")
            }
        }
        databases = chosen.map { ($0, restore.rename ?? $0.name) }
    }

    /// Roles that the chosen databases need.
    var neededRoles: Set<String> { Set(databases.flatMap(\.record.roles)) }
}
