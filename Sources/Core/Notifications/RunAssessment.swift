// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What a finished run tells about its plan: a pure function of its record and of the earlier ones.
public enum RunAssessment {
    /// - Parameters:
    ///   - history: earlier records of the plan on this host, newest last.
    ///   - book: what is open already.
    public static func of(
        _ record: RunRecord, plan: Plan, history: [RunRecord], book: TroubleBook = TroubleBook()
    ) -> Assessment {
        switch record.kind {
        case .backup: backup(record, plan, history, book.open[.anomaly]?.since)
        case .validate: validation(record, book.open[.validation]?.subject)
        case .drill: drill(record, history.filter { $0.kind == .drill })
        case .prune: prune(record, history)
        // Somebody sits in front of a restore.
        case .restore: Assessment()
        }
    }

    /// The newest whole bundle that the records tell of.
    public static func lastGood(_ records: [RunRecord]) -> BundleID? {
        records.filter { $0.kind == .backup && $0.outcome == .ok && $0.isWhole }.compactMap(\.bundle).max()
    }

    private static func backup(
        _ record: RunRecord, _ plan: Plan, _ history: [RunRecord], _ openAnomaly: Timestamp?
    ) -> Assessment {
        // A run of some sources says nothing about the plan's nights, and somebody chose the sources by hand.
        guard record.isWhole else { return Assessment() }
        let nights = history.filter { $0.kind == .backup && $0.isWhole }
        guard record.outcome == .ok else { return unsuccessful(record, plan, nights) }
        var assessment = Assessment(cleared: [.run, .overdue], isSuccess: true)
        if let finding = Anomaly.finding(record, nights: nights, since: openAnomaly) {
            assessment.findings.append(finding)
        } else {
            assessment.cleared.insert(.anomaly)
        }
        return assessment
    }

    private static func unsuccessful(_ record: RunRecord, _ plan: Plan, _ nights: [RunRecord]) -> Assessment {
        let streak = nights.reversed().prefix { $0.outcome != .ok }
        let since = streak.last?.started ?? record.started
        let failed = record.sources.filter { $0.failure != nil }
        var what: [String] = []
        if record.outcome == .died {
            what.append("the run was killed, or its host stopped, before it ended; nothing was committed")
        } else if record.outcome != .partial, let failure = record.failure {
            what.append("\(OneLine.of(failure.message)) (\(failure.code))")
        }
        for source in failed {
            guard let failure = source.failure else { continue }
            // Most failures of a source name it already.
            let named = "source '\(source.name)': "
            let words = failure.message.droppingPrefix(named) ?? failure.message
            what.append("\(source.name): \(OneLine.of(words)) (\(failure.code))")
        }
        if !streak.isEmpty { what.append("that makes \(streak.count + 1) runs in a row without a whole bundle") }
        var next = hints([record.failure] + failed.map(\.failure))
        let isPartial = record.outcome == .partial
        next.append(NextStep("salvor doctor \(plan.name)", "find what would fail again"))
        next.append(NextStep("salvor backup \(plan.name)", "run it again once that is mended"))
        if isPartial, let bundle = record.bundle {
            next.append(NextStep("salvor show \(bundle)", "see what the partial bundle holds"))
        }
        let names = failed.map(\.name).sorted().joined(separator: ",")
        var findings = [
            Finding(
                .run, isPartial ? .partial : .failed, since: since,
                signature: "\(record.outcome.rawValue):\(isPartial ? names : record.failure?.code ?? "")",
                title: isPartial ? "backup is partial" : record.outcome == .died ? "backup died" : "backup failed",
                what: what, next: next, severity: isPartial ? .warning : .error)
        ]
        if let overdue = Overdue.finding(
            plan: plan, lastGood: lastGood(nights), waitingSince: nil, now: record.finished)
        {
            findings.append(overdue)
        }
        return Assessment(findings: findings)
    }

    /// - Parameter damaged: the bundle whose validation failed before; an older one's success is no news about it.
    private static func validation(_ record: RunRecord, _ damaged: BundleID?) -> Assessment {
        guard record.outcome != .ok else {
            if let damaged, let bundle = record.bundle, bundle < damaged { return Assessment() }
            return Assessment(cleared: [.validation])
        }
        guard let failure = record.failure, failure.code != Failure.Code.interrupted.text else { return Assessment() }
        // Without a key, or without the store, nothing was found out about the bundle.
        let isDamage = failure.code.hasPrefix("integrity.")
        let bundle = record.bundle?.text ?? "latest"
        let selector = record.isWhole ? "--all" : bundle
        let steps =
            isDamage
            ? [
                NextStep("salvor validate-backup \(selector)", "look again, object by object"),
                NextStep("salvor backup \(record.plan) --full", "make a bundle that needs no other one"),
                NextStep("salvor list-backups", "see which bundles are proven"),
            ]
            : [
                NextStep("salvor doctor \(record.plan)", "find what is in the way"),
                NextStep("salvor validate-backup \(selector)", "try it again"),
            ]
        let damaged = record.isWhole ? "a bundle is not proven" : "\(bundle) is not proven"
        return Assessment(findings: [
            Finding(
                .validation, .validationFailed, since: record.started, signature: "\(selector):\(failure.code)",
                title: isDamage ? damaged : "validation could not be done",
                what: ["\(OneLine.of(failure.message)) (\(failure.code))"], next: hints([failure]) + steps,
                severity: isDamage ? .critical : .warning, subject: record.bundle)
        ])
    }

    private static func drill(_ record: RunRecord, _ earlier: [RunRecord]) -> Assessment {
        if record.outcome == .ok {
            // A drill of some sources says nothing about another one's failure.
            let isWell = RunRecord.standing(of: earlier + [record])?.outcome == .ok
            return isWell ? Assessment(cleared: [.drill]) : Assessment()
        }
        guard let failure = record.failure, failure.code != Failure.Code.interrupted.text else { return Assessment() }
        let bundle = record.bundle?.text ?? "latest"
        return Assessment(findings: [
            Finding(
                .drill, .drillFailed, since: record.started, signature: "\(bundle):\(failure.code)",
                title: "drill failed", what: ["\(OneLine.of(failure.message)) (\(failure.code))"],
                next: hints([failure]) + [
                    NextStep("salvor restore \(bundle) --dry-run", "see what a restore would do"),
                    NextStep("salvor validate-backup \(bundle) --level contents", "prove the bundle, with its key"),
                ], severity: .error, subject: record.bundle)
        ])
    }

    private static func prune(_ record: RunRecord, _ history: [RunRecord]) -> Assessment {
        guard record.outcome != .ok else { return Assessment(cleared: [.prune]) }
        guard let failure = record.failure, failure.code != Failure.Code.interrupted.text else { return Assessment() }
        let night = history.last { $0.kind == .backup && $0.isWhole }
        // It refuses because the backups fail, which was told already.
        if failure.code == Failure.Code.pruneRefused.text, let night, night.outcome != .ok { return Assessment() }
        return Assessment(findings: [
            Finding(
                .prune, .failed, since: record.started, signature: failure.code, title: "prune failed",
                what: ["\(OneLine.of(failure.message)) (\(failure.code))", "nothing is lost; the repository grows"],
                next: hints([failure]) + [NextStep("salvor prune \(record.plan)", "see what it would do")],
                severity: .warning)
        ])
    }

    /// What the failures themselves advise, each once.
    private static func hints(_ failures: [RecordedFailure?]) -> [NextStep] {
        var steps: [NextStep] = []
        for hint in failures.compactMap({ $0?.hint }) {
            let step = NextStep(nil, OneLine.of(hint))
            if !steps.contains(step) { steps.append(step) }
        }
        return Array(steps.prefix(5))
    }
}
