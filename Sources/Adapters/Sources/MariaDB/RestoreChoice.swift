// SPDX-License-Identifier: Apache-2.0
import Domain

/// Which databases of a bundle are restored, and under which names.
struct RestoreChoice: Sendable {
    var server: ServerRecord
    /// In order of name.
    var databases: [(record: DatabaseRecord, live: String)]
    /// Whether everything of the bundle goes back to where it was.
    var isWhole: Bool

    /// - Throws: `Failure(.nothingSelected)` when a pattern matches nothing, `.usage` for a rename that cannot be.
    init(_ restore: SourceRestore) throws {
        server = try ServerRecord(restore.contents.restoreData)
        let known = server.databases
        var chosen = known
        for pattern in restore.include where !known.contains(where: { NamePattern(pattern).matches($0.name) }) {
            throw Failure(
                .nothingSelected, "no database of the bundle matches '\(pattern)'",
                hint: "The bundle has: \(known.map(\.name).joined(separator: ", ")).")
        }
        if !restore.include.isEmpty {
            chosen = known.filter { record in
                restore.include.contains { pattern in
                    // A name that is there as it stands means that database only, whatever characters it has.
                    known.contains { $0.name == pattern }
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
            guard (1...64).contains(name.unicodeScalars.count), !name.contains("\0"), !name.contains("/"),
                !name.hasSuffix(" "), !MariaDBSettings.isSystem(name)
            else { throw Failure(.usage, "'\(name)' cannot be the name of a database") }
        }
        databases = chosen.map { ($0, restore.rename ?? $0.name) }
        isWhole = restore.include.isEmpty && restore.rename == nil
    }
}
