// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Tests have the whole restore at hand; what ends one gets its place only.
extension SourceAdapter {
    public func rollBack(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await rollBack(restore.place, journal: journal)
    }

    public func abandon(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await abandon(restore.place, journal: journal)
    }

    public func settle(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await settle(restore.place, journal: journal)
    }
}
