// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// Restore journals below the state folder: `restores/<id>/journal.json`.
public struct RestoreJournals: RestoreRecords {
    private let directory: StateDirectory

    public init(_ root: StateDirectory) {
        directory = root.below("restores")
    }

    public func save(_ record: RestoreRecord) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        do {
            try directory.below(record.id).write("journal.json", Array(try encoder.encode(record)))
        } catch let error as EncodingError {
            throw Failure.wrapping(error, as: .internalError, "the journal of restore \(record.id)")
        }
    }

    public func load(_ id: String) throws -> RestoreRecord {
        guard SafeName.isValid(id), let bytes = try directory.below(id).read("journal.json") else {
            throw Failure(
                .restoreNotFound, "there is no restore '\(id)' on this host",
                hint: "'salvor restore --list' shows the restores that can be continued.")
        }
        do {
            return try JSONDecoder().decode(RestoreRecord.self, from: Data(bytes))
        } catch {
            throw Failure(.stateDamaged, "the journal of restore \(id) in '\(directory.path)' is damaged")
        }
    }

    public func all() throws -> [RestoreRecord] {
        try directory.names().filter { try directory.below($0).read("journal.json") != nil }.map(load)
            .sorted { $0.started < $1.started }
    }

    public func scratchPath(_ id: String, source: String) -> String {
        directory.below(id).below("scratch").below(source).path
    }

    public func scratch(_ id: String, source: String) throws -> String {
        try made(StateDirectory(scratchPath(id, source: source)))
    }

    public func kept(_ id: String, source: String) throws -> String {
        try made(directory.below(id).below("kept").below(source))
    }

    public func clean(_ id: String, everything: Bool) throws {
        try directory.below(id).remove("scratch")
        if everything { try directory.below(id).remove("kept") }
    }

    private func made(_ folder: StateDirectory) throws -> String {
        try folder.create()
        return folder.path
    }
}
