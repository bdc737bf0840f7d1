// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Puts notices into words: what, since when, the last good bundle, what to type.
public struct MessageComposer: Sendable {
    let plan: String
    let host: String
    let now: Timestamp
    let lastGood: BundleID?
    let record: RunRecord?

    /// - Parameters:
    ///   - lastGood: the newest whole bundle; nil: none is known.
    ///   - record: the run that gave rise to it; nil: nothing ran.
    public init(plan: String, host: String, now: Timestamp, lastGood: BundleID?, record: RunRecord?) {
        self.plan = plan
        self.host = host
        self.now = now
        self.lastGood = lastGood
        self.record = record
    }

    /// The message for a notice.
    public func message(_ notice: Notice, id: String) -> NotificationMessage {
        let title: String
        var what: [String]
        var next: [NextStep]
        if let finding = notice.finding {
            let again = notice.action == .again ? " still: " : " "
            title = "[salvor] \(plan) on \(host):\(again)\(finding.title)"
            what = finding.what
            next = finding.next
        } else if notice.event == .success {
            title = "[salvor] \(plan) on \(host): backup is good"
            what = success()
            next = [NextStep("salvor list-backups", "see all bundles")]
        } else {
            let words = notice.troubles.map(\.words).joined(separator: ", ")
            title = "[salvor] \(plan) on \(host): recovered: \(words)"
            what = ["what was told before is over: \(words)"] + success()
            next = [NextStep("salvor status \(plan)", "see that all is well")]
        }
        if notice.event == .recovered, notice.count > 1 { what.append("it was found \(notice.count) times") }
        return NotificationMessage(
            schema: NotificationMessage.currentSchema, id: id, event: notice.event, action: notice.action,
            severity: notice.finding?.severity ?? .info, troubles: notice.troubles, plan: plan, host: host, at: now,
            since: notice.since, isTest: false, title: title, what: what, lastGood: good(), next: next,
            run: record.map(NotificationMessage.Run.init), log: record.map(Self.log))
    }

    /// The message of `salvor notify test`.
    public func test(id: String) -> NotificationMessage {
        NotificationMessage(
            // Nobody is to be woken by a receiver that does not look at isTest.
            schema: NotificationMessage.currentSchema, id: id, event: .success, action: .note, severity: .info,
            troubles: [], plan: plan, host: host, at: now, since: now, isTest: true,
            title: "[salvor] TEST: \(plan) on \(host): this channel works",
            what: ["this is how trouble with plan '\(plan)' would reach you"], lastGood: good(),
            next: [NextStep("salvor status \(plan)", "see how the plan really is")], run: nil, log: nil)
    }

    private func good() -> NotificationMessage.LastGood? {
        lastGood.map {
            NotificationMessage.LastGood(
                bundle: $0, at: $0.started, ageSeconds: Int(max(0, now.seconds(since: $0.started))))
        }
    }

    private func success() -> [String] {
        guard let record, record.kind == .backup, record.outcome == .ok, let bundle = record.bundle else { return [] }
        return [
            "\(bundle) is whole: \(record.sources.count) sources, \(Size.text(record.rawBytes)) captured, "
                + "\(Size.text(record.storedBytes)) stored, in \(Length.text(record.finished.seconds(since: record.started)))"
        ]
    }

    /// Everything the record tells.
    static func log(_ record: RunRecord) -> [String] {
        var lines = [
            "\(record.kind.rawValue) \(record.id), \(record.tool) on \(record.host): \(record.outcome.rawValue)",
            "from \(record.started) to \(record.finished), \(Size.text(record.rawBytes)) captured, "
                + "\(Size.text(record.storedBytes)) stored",
        ]
        lines += failure(record.failure)
        for source in record.sources {
            let attempts = source.attempts > 1 ? ", \(source.attempts) attempts" : ""
            lines.append(
                "\(source.name): \(source.failure == nil ? "captured" : "FAILED") in \(Length.text(source.seconds))"
                    + "\(attempts), \(Size.text(source.rawBytes)) captured, \(Size.text(source.storedBytes)) stored")
            lines += failure(source.failure).map { "  \($0)" }
        }
        return lines
    }

    private static func failure(_ failure: RecordedFailure?) -> [String] {
        guard let failure else { return [] }
        // A program's last words may have several lines.
        let lines = failure.message.split(whereSeparator: \.isNewline).map { OneLine.of(String($0), limit: 2000) }
        return ["code \(failure.code)"] + lines + [failure.hint.map { OneLine.of($0) }].compactMap { $0 }
    }
}
