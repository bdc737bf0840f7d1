// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Which trouble of a plan is open and who was told of it: what keeps the same news from being told every hour, and what
/// makes an end worth telling.
public struct TroubleBook: Sendable, Codable, Equatable {
    public private(set) var open: [TroubleKind: Trouble]
    /// Messages made so far.
    private var made: Int

    /// One open trouble.
    public struct Trouble: Sendable, Codable, Equatable {
        public var since: Timestamp
        /// How often it was found.
        public var count: Int
        /// What was told, by signature, oldest first.
        var news: [String]
        /// When each channel was told last.
        var told: [String: Timestamp]
        /// The bundle it is about.
        public var subject: BundleID?
    }

    /// Nothing is open.
    public init() {
        open = [:]
        made = 0
    }

    /// The id of a new message: ids sort in the order in which they were given.
    public mutating func messageID(_ event: NotificationEvent, at now: Timestamp) -> String {
        made += 1
        let number = String(made)
        let padding = String(repeating: "0", count: max(0, 8 - number.count))
        return "\(padding)\(number)-\(now.compact)-\(event.rawValue)-\(BundleID.randomSuffix())"
    }

    private static let mostNews = 32
    /// A night's run is not as punctual as a day is long.
    private static let reminderTolerance = 0.9

    /// Takes in what was seen, and tells what to tell to whom.
    ///
    /// A trouble is told when it begins, when it brings news that was not told since, and again after each channel's
    /// `remind`; its end is told to those who were told of it.
    public mutating func take(
        _ assessment: Assessment, channels: [NotificationChannel], now: Timestamp
    ) -> [Notice] {
        let channels = channels.filter { if case .ping = $0.kind { false } else { true } }
        var notices = assessment.findings.compactMap { take($0, channels, now) }
        let endings = close(assessment, channels)
        if assessment.isSuccess {
            let heard = Set(endings.flatMap(\.channels))
            let names = channels.filter { $0.events.contains(.success) && !heard.contains($0.name) }.map(\.name)
            if !names.isEmpty {
                notices.append(Notice(event: .success, action: .note, troubles: [], since: now, count: 1, to: names))
            }
        }
        return notices + endings
    }

    private mutating func take(_ finding: Finding, _ channels: [NotificationChannel], _ now: Timestamp) -> Notice? {
        let isNew = open[finding.trouble] == nil
        var trouble =
            open[finding.trouble]
            ?? Trouble(since: finding.since, count: 0, news: [], told: [:], subject: finding.subject)
        trouble.count += 1
        trouble.since = min(trouble.since, finding.since)
        trouble.subject = [trouble.subject, finding.subject].compactMap { $0 }.max()
        let isNews = !trouble.news.contains(finding.signature)
        if isNews { trouble.news = (trouble.news + [finding.signature]).suffix(Self.mostNews) }
        let names = channels.filter { channel in
            guard channel.events.contains(finding.event) else { return false }
            guard !isNews, let last = trouble.told[channel.name] else { return true }
            return now.seconds(since: last) >= Double(channel.reminderSeconds) * Self.reminderTolerance
        }.map(\.name)
        for name in names { trouble.told[name] = now }
        open[finding.trouble] = trouble
        guard !names.isEmpty else { return nil }
        return Notice(
            event: finding.event, action: isNew || isNews ? .open : .again, troubles: [finding.trouble],
            since: trouble.since, count: trouble.count, finding: finding, to: names)
    }

    /// One notice for each set of ends, so that a channel hears of all its troubles' ends at once.
    private mutating func close(_ assessment: Assessment, _ channels: [NotificationChannel]) -> [Notice] {
        let found = Set(assessment.findings.map(\.trouble))
        let ended = assessment.cleared.subtracting(found).sorted().compactMap { kind in
            open.removeValue(forKey: kind).map { (kind: kind, trouble: $0) }
        }
        var notices: [Notice] = []
        for channel in channels where channel.hearsOfEnds {
            let own = ended.filter { $0.trouble.told[channel.name] != nil }
            guard let since = own.map(\.trouble.since).min() else { continue }
            let kinds = own.map(\.kind)
            if let index = notices.firstIndex(where: { $0.troubles == kinds }) {
                notices[index].channels.append(channel.name)
            } else {
                let count = own.map(\.trouble.count).max() ?? 1
                notices.append(
                    Notice(
                        event: .recovered, action: .close, troubles: kinds, since: since, count: count,
                        to: [channel.name]))
            }
        }
        return notices
    }
}

extension NotificationChannel {
    /// An incident that was opened must be closed, whatever `on` says.
    var hearsOfEnds: Bool {
        if case .pagerDuty = kind { return true }
        return events.contains(.recovered)
    }
}

/// Something to tell, and to whom.
public struct Notice: Sendable, Equatable {
    public var event: NotificationEvent
    public var action: NotificationMessage.Action
    /// What it is about; several only when they end together.
    public var troubles: [TroubleKind]
    public var since: Timestamp
    /// How often the trouble was found.
    public var count: Int
    /// nil: an end, or a success.
    public var finding: Finding?
    /// Names of channels.
    public var channels: [String]

    init(
        event: NotificationEvent, action: NotificationMessage.Action, troubles: [TroubleKind], since: Timestamp,
        count: Int, finding: Finding? = nil, to channels: [String]
    ) {
        self.event = event
        self.action = action
        self.troubles = troubles
        self.since = since
        self.count = count
        self.finding = finding
        self.channels = channels
    }
}
