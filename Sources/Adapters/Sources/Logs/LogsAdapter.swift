// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Files

/// Log directories, stored as the `files` adapter stores files, with an eye on rotation (docs/sources/logs.md).
struct LogsAdapter: SourceAdapter {
    let settings: LogsSettings
    let environment: AdapterEnvironment
    /// The adapter that does the work of a drill.
    var scratch: (any SourceAdapter)?

    /// The adapter that does the work.
    func files(leavingOut others: [String] = []) throws -> any SourceAdapter {
        if let scratch { return scratch }
        var inner = environment
        inner.source.settings = settings.files(leavingOut: others, environment.source.mark)
        return try FilesFactory().make(inner)
    }

    func preflight() async -> [Check] {
        do { return try await files().preflight() } catch {
            let failure = Failure.wrapping(error, as: .configuration)
            return [Check("paths", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        let (settings, now) = (settings, environment.clock.now())
        let before = try await Blocking.run { LogFiles(below: settings.paths) }
        let leftOut = before.files.filter { isLeftOut($0, now) }.map(\.path)
        let spy = InodeSpy(sink)
        var report = try await files(leavingOut: leftOut.map(Self.pattern)).capture(into: spy)
        let after = try await Blocking.run { LogFiles(below: settings.paths) }
        let out = Set(leftOut)
        // What the plan leaves out by a pattern is in no copy, and is told apart by never being noticed as vanished.
        let isFiltered = !settings.exclude.isEmpty || !settings.include.isEmpty
        let rotation = Rotation(before: before, after: after, stored: spy.inodes) { path in
            !out.contains(path) && (!isFiltered || report.notices.contains { $0.hasPrefix("'\(path)' vanished") })
        }
        if settings.failsOnRotation, let first = rotation.missed.first {
            throw Failure(
                .sourceChanged, first, hint: "Set 'retries' for the source, or run it when nothing is rotated.")
        }
        report.engine = "logs"
        report.notices = Self.worded(report.notices, rotation)
        if !leftOut.isEmpty { report.notices.append("\(leftOut.count) files were left out by age or size") }
        return report
    }

    private func isLeftOut(_ file: LogFiles.File, _ now: Timestamp) -> Bool {
        if let days = settings.days, now.seconds - file.modified > Int64(days) * 86400 { return true }
        if let largest = settings.largest, file.size > Int64(largest) { return true }
        return false
    }

    /// A pattern that matches one path only.
    private static func pattern(_ path: String) -> String {
        path.map { "\\*?".contains($0) ? "\\\($0)" : String($0) }.joined()
    }

    /// The notices of a capture in words of logs: that they grow is no news.
    private static func worded(_ notices: [String], _ rotation: Rotation) -> [String] {
        var grown = 0
        var result: [String] = []
        for notice in notices {
            let path =
                notice.split(separator: "'", omittingEmptySubsequences: false).dropFirst().first.map(String.init) ?? ""
            if notice.hasSuffix("changed while it was read"), rotation.grown.contains(path),
                !rotation.truncated.contains(path)
            {
                grown += 1
            } else if notice.hasSuffix("vanished before it was read"),
                rotation.missed.contains(where: { $0.hasPrefix("'\(path)'") })
            {
                continue  // said better below
            } else {
                result.append(notice)
            }
        }
        if grown > 0 {
            result.append("\(grown) files grew while they were read and are stored up to the size they had")
        }
        for path in rotation.truncated.sorted() where !result.contains(where: { $0.hasPrefix("'\(path)'") }) {
            result.append("'\(path)' was truncated while the copy was made")
        }
        return result + rotation.missed
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        var plan = try await files().planRestore(restore)
        plan.warnings.append("whoever ships logs from these directories may ship the restored ones once more")
        return plan
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await files().stage(restore, journal: journal)
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await files().verify(restore, journal: journal)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await files().promote(restore, journal: journal)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files().rollBack(place, journal: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files().abandon(place, journal: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files().settle(place, journal: journal)
    }
}
