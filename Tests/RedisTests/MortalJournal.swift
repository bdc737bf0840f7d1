// SPDX-License-Identifier: Apache-2.0
import Domain

/// A journal in memory that can end the process, so to speak, at the nth record.
actor MortalJournal: RestoreJournal {
    struct Killed: Error {}

    private(set) var recorded: JSONValue = .null
    private(set) var notes: [String] = []
    private var left: Int?
    private(set) var count = 0
    private var watcher: @Sendable (JSONValue) -> Void = { _ in }

    /// Calls `body` with each record when it is written.
    func watch(_ body: @escaping @Sendable (JSONValue) -> Void) { watcher = body }

    func dieAtRecord(_ number: Int?) { left = number }

    func record(_ value: JSONValue) throws {
        if let before = left {
            left = before - 1
            if before <= 1 { throw Killed() }
        }
        count += 1
        recorded = value
        watcher(value)
    }

    func note(_ message: String) { notes.append(message) }
}

struct LiteralSecrets: SecretResolver {
    func resolve(_ reference: SecretReference) async throws -> String {
        guard case .literal(let text) = reference.kind else { throw Failure(.secretUnavailable, "no such secret") }
        return text
    }
}
