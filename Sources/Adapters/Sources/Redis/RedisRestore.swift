// SPDX-License-Identifier: Apache-2.0
import Domain
extension RedisAdapter {
    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan { throw CancellationError() }
    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {}
    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] { [] }
    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {}
    func rollBack(_ restore: SourceRestore, journal: any RestoreJournal) async throws {}
    func abandon(_ restore: SourceRestore, journal: any RestoreJournal) async throws {}
    func settle(_ restore: SourceRestore, journal: any RestoreJournal) async throws {}
}
