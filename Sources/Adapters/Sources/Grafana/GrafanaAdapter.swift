// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// One Grafana: its database as the `sqlite` adapter copies it, its configuration and provisioning as files, its plugins by
/// name (docs/sources/grafana.md).
struct GrafanaAdapter: SourceAdapter {
    let settings: GrafanaSettings
    let database: any SourceAdapter
    let files: (any SourceAdapter)?

    /// Tables by which a database is known to be Grafana's, and what their rows are called.
    private static let tables = [
        "dashboard": "dashboards and folders", "data_source": "data sources", "user": "users", "org": "organizations",
        "alert_rule": "alert rules",
    ]

    func preflight() async -> [Check] {
        var checks = await database.preflight()
        if let files { checks += await files.preflight() }
        let settings = settings
        // Neither look can fail: what is not there is not listed.
        let key = (try? await Blocking.run { GrafanaSurroundings.secretKey(settings.configuration) }) ?? .unknown
        checks.append(
            key == .configured
                ? Check("secret key", .ok, "set in '\(settings.configuration ?? "")', which is stored")
                : Check(
                    "secret key", .warning,
                    key == .standard
                        ? "grafana.ini sets no 'secret_key': passwords of data sources are encrypted with everybody's"
                        : "the 'secret_key' of grafana.ini is not known, and without it stored passwords are lost",
                    remedy: "Keep GF_SECURITY_SECRET_KEY, if that sets it, in a 'secrets' source."))
        return checks
    }

    func capture(into sink: any CaptureSink) async throws -> CaptureReport {
        var report = try await database.capture(into: sink)
        guard report.facts["table dashboard rows"] != nil, report.facts["table data_source rows"] != nil else {
            throw Failure(
                .sourceFailed, "'\(settings.database)' is not a database of Grafana: it has no dashboards",
                hint: "Correct 'database', or use the adapter 'sqlite'.")
        }
        for (table, name) in Self.tables {
            if case .count(let rows)? = report.facts["table \(table) rows"] { report.notices.append("\(rows) \(name)") }
        }
        report.notices.sort()
        var parts: [String: JSONValue] = ["database": report.restoreData]
        if let files {
            let found = try await files.capture(into: sink)
            for (name, value) in found.facts.values { report.facts["configuration \(name)"] = value }
            parts["files"] = found.restoreData
            report.notices += found.notices
        }
        let settings = settings
        let (plugins, key) = try await Blocking.run {
            (GrafanaSurroundings.plugins(settings.plugins), GrafanaSurroundings.secretKey(settings.configuration))
        }
        parts["plugins"] = .array(plugins.map { .string($0) })
        parts["secret-key"] = .string(key.rawValue)
        report.engine = "Grafana on \(report.engine)"
        report.restoreData = .object(parts)
        return report
    }

    // MARK: - Parts of a restore

    /// What concerns the database of a restore of both.
    func databasePart(_ restore: SourceRestore) -> SourceRestore {
        var part = restore
        part.contents.restoreData = restore.contents.restoreData["database"] ?? .null
        part.contents.facts = Facts(restore.contents.facts.values.filter { !$0.key.hasPrefix("configuration ") })
        part.rename = nil
        return part
    }

    /// What concerns the files; nil when the bundle has none or the plan wants none.
    private func filesPart(_ restore: SourceRestore) -> SourceRestore? {
        guard files != nil, let data = restore.contents.restoreData["files"] else { return nil }
        var part = restore
        part.contents.restoreData = data
        part.contents.facts = Facts(
            Dictionary(
                restore.contents.facts.values.compactMap { name, value in
                    name.droppingPrefix("configuration ").map { ($0, value) }
                }
            ) { first, _ in first })
        part.rename = nil
        return part
    }

    private func page(_ name: String, _ journal: any RestoreJournal) -> PartJournal {
        PartJournal(name: name, whole: journal)
    }

    func planRestore(_ restore: SourceRestore) async throws -> SourceRestorePlan {
        var plan = try await database.planRestore(databasePart(restore))
        if restore.rename != nil { plan.blockers.append("set 'database' instead of '--rename'") }
        if let files, let part = filesPart(restore) {
            let more = try await files.planRestore(part)
            plan.steps += more.steps
            plan.replaces += more.replaces
            plan.creates += more.creates
            plan.blockers += more.blockers
            plan.warnings += more.warnings
            plan.bytesNeeded = (plan.bytesNeeded ?? 0) + (more.bytesNeeded ?? 0)
        }
        plan.origin = restore.contents.engine
        let recorded = (restore.contents.restoreData["plugins"]?.array ?? []).compactMap(\.string)
        let settings = settings
        let present = Set(try await Blocking.run { GrafanaSurroundings.plugins(settings.plugins) })
        let missing = recorded.filter { !present.contains($0) }
        if !missing.isEmpty {
            plan.warnings.append(
                "plugins to install: "
                    + missing.map { "grafana cli plugins install \($0)" }.joined(separator: "; "))
        }
        switch restore.contents.restoreData["secret-key"]?.string.flatMap(GrafanaSurroundings.SecretKey.init) {
        case .configured?:
            plan.warnings.append("passwords of data sources need the 'secret_key' of the bundle's grafana.ini")
        case .standard?: break
        case .unknown?, nil:
            plan.warnings.append(
                "the bundle does not hold the 'secret_key': without it passwords of data sources cannot be decrypted")
        }
        plan.warnings.append(
            "stop Grafana before promoting and start it after: it migrates an older database forward only")
        return plan
    }

    func stage(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        try await database.stage(databasePart(restore), journal: page("database", journal))
        if let files, let part = filesPart(restore) { try await files.stage(part, journal: page("files", journal)) }
    }

    func verify(_ restore: SourceRestore, journal: any RestoreJournal) async throws -> [FactComparison] {
        var facts = try await database.verify(databasePart(restore), journal: page("database", journal))
        if let files, let part = filesPart(restore) {
            facts += try await files.verify(part, journal: page("files", journal)).map {
                FactComparison(name: "configuration \($0.name)", recorded: $0.recorded, found: $0.found)
            }
        }
        return facts
    }

    func promote(_ restore: SourceRestore, journal: any RestoreJournal) async throws {
        if let files, let part = filesPart(restore) { try await files.promote(part, journal: page("files", journal)) }
        do {
            try await database.promote(databasePart(restore), journal: page("database", journal))
        } catch {
            // Half of it is worse than none; also when this task was cancelled.
            let (adapter, place) = (self, restore.place)
            // The first error is the one to tell.
            try? await Task { try await adapter.putFilesBack(place, journal) }.value
            throw error
        }
    }

    private func putFilesBack(_ place: RestorePlace, _ journal: any RestoreJournal) async throws {
        guard let files else { return }
        await journal.note("the database was not promoted; putting the configuration back")
        try await files.rollBack(place, journal: page("files", journal))
    }

    func rollBack(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await database.rollBack(place, journal: page("database", journal))
        try await each(journal) { try await $0.rollBack(place, journal: $1) }
    }

    func abandon(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await database.abandon(place, journal: page("database", journal))
        try await each(journal) { try await $0.abandon(place, journal: $1) }
    }

    func settle(_ place: RestorePlace, journal: any RestoreJournal) async throws {
        try await database.settle(place, journal: page("database", journal))
        try await each(journal) { try await $0.settle(place, journal: $1) }
    }

    /// Ends the files' part, if it ever began.
    private func each(
        _ journal: any RestoreJournal, _ body: (any SourceAdapter, PartJournal) async throws -> Void
    ) async throws {
        let part = page("files", journal)
        guard let files, await part.recorded != .null else { return }
        try await body(files, part)
    }
}
