// SPDX-License-Identifier: Apache-2.0
import Domain

/// One part's page of a journal that several adapters share.
struct PartJournal: RestoreJournal {
    let name: String
    let whole: any RestoreJournal

    var recorded: JSONValue {
        get async { await whole.recorded[name] ?? .null }
    }

    func record(_ value: JSONValue) async throws {
        var pages: [String: JSONValue] = [:]
        if case .object(let found) = await whole.recorded { pages = found }
        pages[name] = value
        try await whole.record(.object(pages))
    }

    func note(_ message: String) async { await whole.note(message) }
}
