// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Removes what a restore leaves: staged copies that were not promoted, old tables once they are not needed.
struct Removing {
    let server: Server
    let place: RestorePlace
    let journal: any RestoreJournal
    var state: RestoreState

    static func drop(_ account: String) -> String {
        account.contains("@") ? "DROP USER IF EXISTS \(account)" : "DROP ROLE IF EXISTS \(account)"
    }

    /// Drops the staged copies.
    ///
    /// - Throws: `Failure(.conflict)` when one of them is live.
    mutating func abandon() async throws {
        for item in state.items where [.promoting, .promoted, .settled].contains(item.stage) {
            throw Failure(
                .conflict, "the restored database '\(item.live)' is live", hint: "Roll the restore back, or settle it.")
        }
        for (index, item) in state.items.enumerated() {
            await journal.note("dropping the staged database '\(item.staged)'")
            try await server.execute(["DROP DATABASE IF EXISTS \(SQLText.name(item.staged))"])
            state.items[index].stage = .abandoned
            try await state.save(journal)
        }
        try await forget()
    }

    /// Drops the old tables; from then on there is no rolling back.
    ///
    /// - Throws: `Failure(.conflict)` when the restored databases are not the live ones.
    mutating func settle() async throws {
        for item in state.items where ![.promoted, .settled].contains(item.stage) {
            throw Failure(
                .conflict, "the restored '\(item.live)' is not live, so nothing is dropped",
                hint: "A restore that is not promoted is ended with abandon.")
        }
        for (index, item) in state.items.enumerated() where item.stage != .settled {
            if item.existed {
                await journal.note("dropping the old tables in '\(item.before)'")
                try await server.execute(["DROP DATABASE IF EXISTS \(SQLText.name(item.before))"])
            }
            state.items[index].stage = .settled
            try await state.save(journal)
        }
        try await forget()
    }

    private func forget() async throws {
        let (place, count) = (place, state.items.count)
        try await Blocking.run {
            for index in 0..<count {
                try KeptPrograms.remove(KeptPrograms.programs(index, in: place))
                try KeptPrograms.remove(KeptPrograms.events(index, in: place))
            }
        }
    }
}
