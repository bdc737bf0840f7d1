// SPDX-License-Identifier: Apache-2.0
import Domain

/// A restore's journal while it is being worked on.
actor RestoreProgress {
    private(set) var record: RestoreRecord
    private let records: any RestoreRecords
    private let progress: any ProgressListener

    init(_ record: RestoreRecord, _ records: any RestoreRecords, _ progress: any ProgressListener) {
        self.record = record
        self.records = records
        self.progress = progress
    }

    /// Notes that a source enters a phase; durable when it returns.
    func enter(_ source: String, _ phase: RestoreRecord.Phase) throws {
        try change(source) { $0.phase = phase }
    }

    /// The adapter's own page of the journal.
    nonisolated func part(_ source: String) -> any RestoreJournal { Page(journal: self, source: source) }

    fileprivate func recorded(_ source: String) -> JSONValue {
        record.sources.first { $0.name == source }?.record ?? .null
    }

    fileprivate func setRecorded(_ source: String, _ value: JSONValue) throws {
        try change(source) { $0.record = value }
    }

    fileprivate func note(_ source: String, _ message: String) {
        progress.report(.note("\(source): \(message)"))
    }

    private func change(_ source: String, _ body: (inout RestoreRecord.Source) -> Void) throws {
        guard let index = record.sources.firstIndex(where: { $0.name == source }) else { return }
        body(&record.sources[index])
        try records.save(record)
    }

    private struct Page: RestoreJournal {
        let journal: RestoreProgress
        let source: String

        var recorded: JSONValue {
            get async { await journal.recorded(source) }
        }

        func record(_ value: JSONValue) async throws { try await journal.setRecorded(source, value) }

        func note(_ message: String) async { await journal.note(source, message) }
    }
}
