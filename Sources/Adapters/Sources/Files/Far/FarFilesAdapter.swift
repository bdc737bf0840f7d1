// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Synchronization

/// Files and directories beside a source that is reached through a transport (docs/sources/files.md).
struct FarFilesAdapter: SourceAdapter {
    let settings: FilesSettings
    let host: FarHost

    init(_ settings: FilesSettings, _ transport: any Transport) {
        self.settings = settings
        host = FarHost(transport: transport)
    }

    func preflight() async -> [Check] {
        do {
            let tools = try await host.tools()
            var checks = [Check("far programs", .ok, "\(tools.tar); \(tools.find)")]
            for path in settings.paths { checks.append(try await check(path)) }
            if !tools.isRoot {
                checks.append(
                    Check(
                        "privileges", .warning,
                        "user \(tools.userID) there is not root: files it may not read fail the source",
                        remedy: "Reach the source as root, or as a user who may read all of it."))
            }
            return checks
        } catch {
            let failure = Failure.wrapping(error, as: .sourceFailed)
            return [Check("far programs", .failed, failure.summary, remedy: failure.hint, code: failure.code)]
        }
    }

    private func check(_ path: String) async throws -> Check {
        let look = """
            if [ -L "$1" ]; then echo link; elif [ -d "$1" ]; then [ -r "$1" ] && [ -x "$1" ] && echo directory || echo denied
            elif [ -f "$1" ]; then [ -r "$1" ] && echo file || echo denied; elif [ -e "$1" ]; then echo special; else echo none; fi
            """
        let name = "path \(path)"
        let found = try await host.output(look, [path], code: .sourceFailed)
        switch found.split(separator: "\n").first ?? "" {
        case "link":
            return Check(
                name, .warning, "'\(path)' is a symbolic link: the link is stored, not what it points to",
                remedy: "Name its target instead, if that is meant.")
        case "none":
            return Check(
                name, .failed, "'\(path)' does not exist", remedy: "Correct the source's paths, or create it.",
                code: .preflightRefused)
        case "denied":
            return Check(
                name, .failed, "no permission to read '\(path)'", remedy: "Reach the source as a user who may read it.",
                code: .sourceDenied)
        case let kind: return Check(name, .ok, kind == "special" ? "special file" : String(kind))
        }
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        _ = try await host.tools()
        let kinds = try await kinds()
        let capture = FarCapture(host: host, settings: settings)
        let outcome = FarOutcomeBox()
        _ = try await sink.tree(FilesAdapter.stream, estimatedBytes: nil) { sink, base in
            let found = try await capture.run(into: sink, base: base)
            outcome.value.withLock { $0 = found }
            return found.end
        }
        guard let found = outcome.value.withLock({ $0 }) else {
            throw Failure(.internalError, "the capture of files ended without a result")
        }
        let roots = zip(settings.paths, kinds).map { path, kind in
            JSONValue.object(["path": .string(path), "kind": .string(kind)])
        }
        return CaptureReport(
            engine: "files", facts: found.counts.facts, restoreData: ["roots": .array(roots)], notices: found.notices)
    }

    private func kinds() async throws -> [String] {
        var kinds: [String] = []
        for path in settings.paths {
            let look = "if [ -d \"$1\" ] && [ ! -L \"$1\" ]; then echo directory; else echo file; fi"
            kinds.append(
                try await host.output(look, [path], code: .sourceFailed).trimmingNewlines)
        }
        return kinds
    }

    // MARK: Restore

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        try await prepared(restore).plan()
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await prepared(restore).stage(journal)
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await prepared(restore).verify(journal)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        let files = try prepared(restore).files
        if let state = try RestoreState(await journal.recorded) {
            // All of them before anything is touched: a roll-back has nothing but these.
            try await Blocking.run {
                for (index, part) in state.roots.enumerated() where part.merges {
                    let root = files.roots.first { $0.path == part.path }
                    try MergeList.write(
                        try root.map(files.mergeList) ?? [], to: MergeList.path(index, in: restore.place))
                }
            }
        }
        try await FarEnding(host: host, place: restore.place).promote(journal)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await FarEnding(host: host, place: place).rollBack(journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await FarEnding(host: host, place: place).abandon(journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await FarEnding(host: host, place: place).settle(journal)
    }

    private func prepared(_ restore: SourceRestore) throws -> FarRestore {
        FarRestore(
            files: try FilesRestore(restore, storesDevices: settings.storesDevices, beforeStep: nil), host: host)
    }
}

/// Carries a capture's outcome out of the stream's closure.
private final class FarOutcomeBox: Sendable {
    let value = Mutex<TreeCapture.Outcome?>(nil)
}

extension String {
    /// Without newlines at the end.
    var trimmingNewlines: String {
        String(self[..<(lastIndex { !$0.isNewline }.map { index(after: $0) } ?? startIndex)])
    }
}
