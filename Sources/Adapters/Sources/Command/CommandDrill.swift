// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

extension CommandAdapter: DrillingAdapter {
    /// The copy goes to the program that the plan names for drills, which puts it below the folder. What a restore would run
    /// is not known here: no program of 'restore' runs, and no secret of 'environment' is given away.
    func inScratch<Result: Sendable>(
        _ restore: SourceRestore, folder: String, _ body: @escaping @Sendable (any SourceAdapter) async throws -> Result
    ) async throws -> Result {
        guard let program = environment.source.drillProgram else {
            throw Failure(
                .restoreBlocked,
                "source '\(environment.source.name)' names no program that restores it for practice, and 'restore.run' "
                    + "is for the live system",
                hint:
                    "Add 'drill: {restore: [PROGRAM, \"{folder}\"]}' to the source: a program that gets the copy on its "
                    + "standard input and puts it below that folder, and nowhere else.")
        }
        let live = settings.programs.filter { $0.key.hasPrefix("restore.") }
        if let same = live.first(where: { $0.words == program }) {
            throw Failure(
                .restoreBlocked,
                "'drill.restore' of source '\(environment.source.name)' is the same as '\(same.key)', which restores the "
                    + "live system",
                hint: "Name a program that puts the copy below {folder}, and nowhere else.")
        }
        guard chmod(folder, 0o700) == 0 else { throw Failure(.localInput, "unable to close '\(folder)' to others") }
        var adapter = CommandAdapter(settings: settings.drilled(by: program), environment: environment)
        adapter.drillFolder = folder
        return try await body(adapter)
    }

    func places(of restore: SourceRestore) -> [String: String] {
        drillFolder.map { ["SALVOR_DRILL_PATH": $0] } ?? [:]
    }
}

extension CommandSettings {
    /// With one program that takes the copy, and without all that have to do with the live system.
    fileprivate func drilled(by program: [String]) -> CommandSettings {
        var settings = self
        settings.restore = program
        (settings.stage, settings.verify, settings.countStaged, settings.promote) = (nil, nil, nil, nil)
        (settings.rollBack, settings.abandon, settings.settle, settings.preflight) = (nil, nil, nil, nil)
        settings.environment = environment.filter { if case .literal = $0.value.kind { true } else { false } }
        return settings
    }
}
