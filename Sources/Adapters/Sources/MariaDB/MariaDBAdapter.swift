// SPDX-License-Identifier: Apache-2.0
import Domain

/// One MariaDB or MySQL server: its databases as SQL dumps, their programs (routines, views, triggers, events), its
/// accounts (docs/sources/mariadb.md).
struct MariaDBAdapter: SourceAdapter {
    let settings: MariaDBSettings
    let environment: AdapterEnvironment

    /// The server as it answers now.
    ///
    /// - Throws: `Failure` when it cannot be reached, lets nobody in, or no client program is there.
    func server() async throws -> Server {
        let password: String? =
            if let reference = settings.password { try await environment.secrets.resolve(reference) } else { nil }
        return try await Server.connect(
            ClientTools(transport: environment.transport, settings: settings, password: password))
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        try await Capturing(server: try await server(), sink: sink).run()
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        try await RestorePlanning(
            server: try await server(), restore: restore, choice: try RestoreChoice(restore)
        ).plan()
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var staging = try await Staging(server: try await server(), restore, journal)
        try await staging.run()
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await Verifying(
            server: try await server(), restore: restore, journal: journal,
            state: try await RestoreState.recorded(journal)
        ).run()
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        var swapping = Swapping(
            server: try await server(), place: restore.place, journal: journal,
            state: try await RestoreState.recorded(journal))
        try await swapping.promote(restore)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        let state = try await RestoreState.recorded(journal)
        var swapping = Swapping(server: try await server(), place: place, journal: journal, state: state)
        try await swapping.rollBack()
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        guard await journal.recorded != .null else { return }
        let state = try await RestoreState.recorded(journal)
        var removing = Removing(server: try await server(), place: place, journal: journal, state: state)
        try await removing.abandon()
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        let state = try await RestoreState.recorded(journal)
        var removing = Removing(server: try await server(), place: place, journal: journal, state: state)
        try await removing.settle()
    }
}
