// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Glibc

/// Files that hold secrets, stored as the `files` adapter stores files, with nothing about what is in them in facts,
/// notices and reports (docs/sources/secrets.md).
struct SecretsAdapter: SourceAdapter {
    let settings: SecretsSettings
    let files: any SourceAdapter
    /// A drill is held elsewhere: what is live is not even read.
    var isDrilled = false

    func preflight() async -> [Check] {
        var checks = await files.preflight()
        let settings = settings
        do {
            checks += try await Blocking.run {
                var checks: [Check] = []
                for path in settings.environmentFiles {
                    let names = try EnvironmentNames.read(path)
                    checks.append(
                        names.isEmpty
                            ? Check(
                                "environment \(path)", .warning, "'\(path)' sets no variable",
                                remedy: "Name it under 'paths' if it is no environment file.")
                            : Check("environment \(path)", .ok, "\(names.count) variables"))
                }
                for path in settings.named where Self.isOpen(path) {
                    checks.append(
                        Check(
                            "mode of \(path)", settings.requiresPrivate ? .failed : .warning,
                            "'\(path)' may be read by everybody on this host", remedy: "chmod o= '\(path)'",
                            code: settings.requiresPrivate ? .preflightRefused : nil))
                }
                return checks
            }
        } catch {
            let failure = Failure.wrapping(error, as: .localInput)
            checks.append(Check("environment", .failed, failure.summary, remedy: failure.hint, code: failure.code))
        }
        return checks
    }

    private static func isOpen(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        return status.st_mode & 0o004 != 0
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        var report = try await files.capture(into: sink)
        let settings = settings
        let names = try await Blocking.run {
            try settings.environmentFiles.map { (path: $0, names: try EnvironmentNames.read($0)) }
        }
        report.engine = "secrets"
        report.facts = Self.reduced(report.facts)
        guard case .object(var data) = report.restoreData else { return report }
        data["variables"] = .object(
            Dictionary(names.map { ($0.path, JSONValue.array($0.names.map { .string($0) })) }) { first, _ in first })
        report.restoreData = .object(data)
        return report
    }

    /// Facts without those that tell of contents: the sum of sizes gives away the length of a lone password.
    private static func reduced(_ facts: Facts) -> Facts {
        var facts = facts
        facts["bytes"] = nil
        return facts
    }

    /// What differs between two values of a comparison, without the values.
    private static func reduced(_ comparison: FactComparison) -> FactComparison? {
        if comparison.name == "bytes" { return nil }
        let tellsOfContents =
            comparison.name.contains(" attribute ") || comparison.name.hasSuffix(" content")
            || comparison.name.hasSuffix(" size")
        guard tellsOfContents else { return comparison }
        return FactComparison(
            name: comparison.name, recorded: comparison.recorded.map { _ in .text("as captured") },
            found: comparison.found.map { _ in .text(comparison.isEqual ? "as captured" : "something else") })
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        var plan = try await files.planRestore(restore)
        guard !isDrilled, case .object(let variables)? = restore.contents.restoreData["variables"] else { return plan }
        let recorded = variables.mapValues { Set(($0.array ?? []).compactMap(\.string)) }
        let found = await Self.names(of: recorded.keys.sorted())
        for (path, names) in recorded.sorted(by: { $0.key < $1.key }) {
            guard let present = found[path] else { continue }
            let (back, gone) = (names.subtracting(present).sorted(), present.subtracting(names).sorted())
            if !back.isEmpty { plan.warnings.append("'\(path)' gets back \(back.joined(separator: ", "))") }
            if !gone.isEmpty { plan.warnings.append("'\(path)' loses \(gone.joined(separator: ", "))") }
        }
        return plan
    }

    /// Names in the files that can be read; the others are nobody's loss in a plan.
    private static func names(of paths: [String]) async -> [String: Set<String>] {
        // Reading goes wrong file by file, never as a whole.
        (try? await Blocking.run {
            var found: [String: Set<String>] = [:]
            // A file that is not there loses nothing.
            for path in paths { found[path] = (try? EnvironmentNames.read(path)).map(Set.init) }
            return found
        }) ?? [:]
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await files.stage(restore, journal: journal)
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        try await files.verify(restore, journal: journal).compactMap(Self.reduced)
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await files.promote(restore, journal: journal)
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files.rollBack(place, journal: journal)
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files.abandon(place, journal: journal)
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await files.settle(place, journal: journal)
    }
}

extension SecretsSettings {
    /// The files and directories that the plan names.
    fileprivate var named: [String] {
        guard case .mapping(let pairs, _) = files,
            case .sequence(let nodes, _)? = pairs.first(where: { $0.key == "paths" })?.value
        else { return [] }
        return nodes.compactMap { if case .scalar(let text, _, _) = $0 { text } else { nil } }
    }
}
