// SPDX-License-Identifier: Apache-2.0
import Domain

/// One PostgreSQL server as a source: logical copies of its databases and its globals.
struct PostgreSQLAdapter: SourceAdapter {
    let environment: AdapterEnvironment
    let settings: PostgreSQLSettings

    func preflight() async -> [Check] {
        await Preflight(environment: environment, settings: settings).checks()
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await Capturing(server: try await Server.reach(environment, settings)).run(into: sink)
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        let choice = try RestoreChoice(restore)
        return try await RestorePlanning(
            server: try await Server.reach(environment, settings), restore: restore, choice: choice
        ).plan()
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var staging = try await Staging(server: try await Server.reach(environment, settings), restore, journal)
        try await staging.run()
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        let state = try await RestoreState.recorded(journal)
        return try await Verifying(
            server: try await Server.reach(environment, settings), restore: restore, journal: journal, state: state
        ).compare()
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let cluster = try ClusterRecord(restore.contents.restoreData)
        var swap = try await swapping(journal)
        try await swap.promote(cluster)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var swap = try await swapping(journal)
        try await swap.rollBack()
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        // Nothing recorded: nothing was begun.
        guard await journal.recorded != .null else { return }
        var removing = Removing(
            server: try await Server.reach(environment, settings), journal: journal,
            state: try await RestoreState.recorded(journal))
        try await removing.abandon()
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        var removing = Removing(
            server: try await Server.reach(environment, settings), journal: journal,
            state: try await RestoreState.recorded(journal))
        try await removing.settle()
    }

    private func swapping(_ journal: any RestoreJournal) async throws -> Swapping {
        Swapping(
            server: try await Server.reach(environment, settings), journal: journal,
            state: try await RestoreState.recorded(journal))
    }
}
