// SPDX-License-Identifier: Apache-2.0
import Domain

/// Removes what a restore leaves: staged copies that were not promoted, old databases once they are not needed.
struct Removing {
    let server: Server
    let journal: any RestoreJournal
    var state: RestoreState

    /// Drops the staged copies.
    ///
    /// - Throws: `Failure(.conflict)` when one of them is live.
    mutating func abandon() async throws {
        let list = try await DatabaseList.read(server)
        for item in state.items where list.with(id: item.stagedID)?.name == item.live {
            throw Failure(
                .conflict, "the restored database '\(item.live)' is live", hint: "Roll the restore back, or settle it.")
        }
        for (index, item) in state.items.enumerated() {
            let server = server.away(from: item.names)
            if let copy = list.named(item.staged), item.stagedID == nil || copy.oid == item.stagedID {
                await journal.note("dropping the staged database '\(item.staged)'")
                try await server.execute(DatabaseStatements.drop(item.staged))
            }
            state.items[index].stage = .abandoned
            try await state.save(journal)
        }
        for role in state.roles {
            do { try await server.execute("DROP ROLE IF EXISTS \(SQLText.identifier(role));") } catch let error
                as Failure
                where error.code != .sourceUnreachable
            {
                // Something of the live system has come to depend on it.
                await journal.note("the role '\(role)', which this restore made, is kept: \(error.summary)")
            }
        }
        state.roles = []
        try await state.save(journal)
    }

    /// Drops the old databases; from then on there is no rolling back.
    ///
    /// - Throws: `Failure(.conflict)` when the restored databases are not the live ones.
    mutating func settle() async throws {
        let list = try await DatabaseList.read(server)
        for item in state.items where item.stage != .settled && list.with(id: item.stagedID)?.name != item.live {
            throw Failure(
                .conflict, "the live database '\(item.live)' is not the restored one, so nothing is dropped",
                hint: "A restore that is not promoted is ended with abandon.")
        }
        for (index, item) in state.items.enumerated() where item.stage != .settled {
            if let old = list.with(id: item.liveID), old.name == item.before {
                await journal.note("dropping the old database '\(item.before)'")
                try await server.away(from: item.names).execute(DatabaseStatements.drop(item.before))
            }
            state.items[index].stage = .settled
            try await state.save(journal)
        }
    }
}
