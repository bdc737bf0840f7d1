// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation

/// A restore's journal with the record as it was last written.
public struct JournalPage<Record: Codable & Sendable & Equatable>: Sendable {
    private let journal: any RestoreJournal
    public private(set) var record: Record

    /// Reads the journal; `empty` stands for one that has no record yet.
    ///
    /// - Throws: `Failure(.stateDamaged)`.
    public init(_ journal: any RestoreJournal, empty: Record) async throws {
        self.journal = journal
        let value = await journal.recorded
        if value == .null {
            record = empty
        } else {
            do {
                record = try JSONDecoder().decode(Record.self, from: try JSONEncoder().encode(value))
            } catch { throw Failure(.stateDamaged, "the journal of the restore cannot be read") }
        }
    }

    /// Changes the record; durable when it returns.
    public mutating func write(_ change: (inout Record) -> Void) async throws {
        var next = record
        change(&next)
        guard next != record else { return }
        try await journal.record(
            try JSONDecoder().decode(JSONValue.self, from: try JSONEncoder().encode(next)))
        record = next
    }

    public func note(_ message: String) async { await journal.note(message) }
}
