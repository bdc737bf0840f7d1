// SPDX-License-Identifier: Apache-2.0
public import Domain

/// What is told, the same for every channel: the JSON of the webhook, and what the texts of the others are made of.
///
/// `manifests/schema/notification.schema.json` describes it for receivers.
public struct NotificationMessage: Sendable, Codable, Equatable {
    /// `salvor.notification/1`.
    public var schema: String
    /// Unique; the same in every attempt to deliver it.
    public var id: String
    public var event: NotificationEvent
    public var action: Action
    public var severity: NotificationSeverity
    /// What it is about; several only when they end together, none for a success.
    public var troubles: [TroubleKind]
    public var plan: String
    public var host: String
    /// When it was made.
    public var at: Timestamp
    /// Since when it is, or was, so.
    public var since: Timestamp
    /// Whether somebody is only trying out the channel.
    public var isTest: Bool
    /// One line: plan, host and what happened.
    public var title: String
    /// What happened, a sentence a line.
    public var what: [String]
    public var lastGood: LastGood?
    public var next: [NextStep]
    /// nil: found without a run.
    public var run: Run?
    /// The run's whole record in words; only for channels with `include-log`.
    public var log: [String]?

    /// What a message does to the incident it belongs to.
    public enum Action: String, Sendable, Codable, CaseIterable {
        /// It begins, or has changed.
        case open
        /// It lasts.
        case again
        /// It is over.
        case close
        /// There is none.
        case note
    }

    /// The newest bundle with everything in it.
    public struct LastGood: Sendable, Codable, Equatable {
        public var bundle: BundleID
        public var at: Timestamp
        public var ageSeconds: Int
    }

    /// The run that gave rise to it.
    public struct Run: Sendable, Codable, Equatable {
        public var id: BundleID
        public var kind: RunRecord.Kind
        public var outcome: RunRecord.Outcome
        public var started: Timestamp
        public var finished: Timestamp
        public var bundle: BundleID?
        public var rawBytes: UInt64
        public var storedBytes: UInt64
        /// Names of the sources that are missing from its bundle.
        public var failedSources: [String]

        init(_ record: RunRecord) {
            id = record.id
            kind = record.kind
            outcome = record.outcome
            started = record.started
            finished = record.finished
            bundle = record.bundle
            rawBytes = record.rawBytes
            storedBytes = record.storedBytes
            failedSources = record.sources.filter { $0.failure != nil }.map(\.name)
        }
    }

    /// The current version of the document.
    public static let currentSchema = "salvor.notification/1"

    /// The message as this channel may have it.
    public func fitted(to channel: NotificationChannel) -> NotificationMessage {
        var message = self
        if !channel.includesLog { message.log = nil }
        return message
    }

    /// The message with `change` done to every text in it that may come from elsewhere.
    public func mapTexts(_ change: (String) -> String) -> NotificationMessage {
        var message = self
        message.title = change(title)
        message.what = what.map(change)
        message.next = next.map { NextStep($0.command.map(change), change($0.purpose)) }
        message.log = log?.map(change)
        return message
    }
}

extension NotificationMessage {
    /// A message for people as plain text, lines of any length.
    public func text() -> String {
        var lines = [title, ""]
        if isTest { lines = ["THIS IS A TEST. Nothing happened; somebody typed 'salvor notify test'.", ""] + lines }
        lines += what.map { "  \($0)" }
        lines.append("")
        switch action {
        case .open, .again: lines.append("Since:      \(since)  (\(Length.text(at.seconds(since: since))))")
        case .close: lines.append("Lasted:     \(since) to \(at)  (\(Length.text(at.seconds(since: since))))")
        case .note: break
        }
        if let lastGood {
            lines.append("Last good:  \(lastGood.bundle)  (\(Length.text(Double(lastGood.ageSeconds))) old)")
        } else if event != .success {
            lines.append("Last good:  none known to this host")
        }
        if let run {
            let length = Length.text(run.finished.seconds(since: run.started))
            lines.append("Run:        \(run.id)  (\(run.kind.rawValue), \(run.outcome.rawValue), \(length))")
        }
        lines += nextLines()
        if let log { lines += ["", "The run in full:"] + log.map { "  \($0)" } }
        return lines.joined(separator: "\n") + "\n"
    }

    private func nextLines() -> [String] {
        guard !next.isEmpty else { return [] }
        let width = next.compactMap { $0.command?.count }.filter { $0 <= 44 }.max() ?? 0
        return ["", "Next:"]
            + next.map { step in
                guard let command = step.command else { return "  \(step.purpose)" }
                let gap = String(repeating: " ", count: max(0, width - command.count) + 3)
                return "  \(command)\(gap)# \(step.purpose)"
            }
    }
}
