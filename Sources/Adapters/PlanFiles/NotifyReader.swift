// SPDX-License-Identifier: Apache-2.0
import Domain

/// Reads a plan's `notify`: a list of channels, each of exactly one kind.
enum NotifyReader {
    /// The channels in the order of the document.
    ///
    /// - Throws: `Failure(.configuration)` with file and line.
    static func channels(_ plan: ConfigReader) throws -> [NotificationChannel] {
        var channels: [NotificationChannel] = []
        for (index, node) in (try plan.sequence("notify") ?? []).enumerated() {
            let entry = try ConfigReader(
                node, path: "notify[\(index)]", allowed: PlanKeys.notifyChannels + PlanKeys.notify)
            channels.append(try channel(entry, after: channels))
        }
        return channels
    }

    private static func channel(
        _ entry: ConfigReader, after earlier: [NotificationChannel]
    ) throws -> NotificationChannel {
        let kinds = PlanKeys.notifyChannels.filter { entry.node($0) != nil }
        guard kinds.count == 1, let kind = kinds.first else {
            throw Failure(
                .configuration,
                "\(entry.mark): '\(entry.path)' must have exactly one of \(PlanKeys.notifyChannels.joined(separator: ", "))"
            )
        }
        guard case .mapping? = entry.node(kind), let keys = PlanKeys.channels[kind] else {
            throw entry.failure(kind, "must be a mapping")
        }
        let events = try events(entry)
        if kind == "pagerduty", events?.contains(.success) ?? false {
            throw entry.failure("on", "cannot have 'success': PagerDuty hears of trouble and its end")
        }
        if kind == "ping" {
            for key in ["on", "remind"] where entry.node(key) != nil {
                throw entry.failure(key, "does not fit a ping", hint: "A ping tells of the start and end of every run.")
            }
        }
        guard let reader = try entry.mapping(kind, allowed: keys + PlanKeys.channelReach) else {
            throw entry.failure(kind, "must be a mapping")
        }
        let read = try settings(kind, reader)
        var channel = NotificationChannel(
            name: try name(entry, kind: kind, earlier: earlier.map(\.name)), kind: read, mark: entry.mark)
        if let events { channel.events = events }
        channel.includesLog = try entry.bool("include-log") ?? false
        if let seconds = try entry.duration("remind") {
            guard seconds >= shortestReminder else {
                throw entry.failure("remind", "must be at least 1h", hint: "Whoever is told too often stops reading.")
            }
            channel.reminderSeconds = seconds
        }
        if let seconds = try reader.duration("time-limit") {
            guard (1...longestLimit).contains(seconds) else {
                throw reader.failure("time-limit", "must be from 1s to 5m")
            }
            channel.timeLimit = seconds
        }
        channel.caFile = try reader.string("ca-file")
        if let file = channel.caFile, !file.hasPrefix("/") {
            throw reader.failure("ca-file", "must be an absolute path")
        }
        return channel
    }

    private static let shortestReminder = 3600
    private static let longestLimit = 300

    private static func name(_ entry: ConfigReader, kind: String, earlier: [String]) throws -> String {
        if let name = try entry.string("name") {
            guard SafeName.isValid(name) else {
                throw entry.failure("name", "'\(name)' is not a name", hint: PlanReader.nameHint)
            }
            guard !earlier.contains(name) else { throw entry.failure("name", "'\(name)' is another channel's already") }
            return name
        }
        // The first has the kind's own name, the next ones a number.
        let names = [kind] + (2...(earlier.count + 2)).map { "\(kind)-\($0)" }
        return names.first { !earlier.contains($0) } ?? kind
    }

    private static func events(_ entry: ConfigReader) throws -> [NotificationEvent]? {
        guard let words = try entry.strings("on") else { return nil }
        let known = NotificationEvent.allCases.map(\.rawValue)
        guard !words.isEmpty else {
            throw entry.failure("on", "must list at least one event", hint: "Leave it out for all kinds of trouble.")
        }
        return try words.map { word in
            guard let event = NotificationEvent(rawValue: word) else {
                throw entry.failure(
                    "on", "knows no '\(word)'",
                    hint: NearestName.of(word, among: known).map { "Did you mean '\($0)'?" }
                        ?? "Events are \(known.joined(separator: ", ")).")
            }
            return event
        }
    }

    private static func settings(_ kind: String, _ reader: ConfigReader) throws -> NotificationChannel.Kind {
        switch kind {
        case "email": return .email(try EmailReader.read(reader))
        case "slack": return .slack(url: try required("webhook-url", reader))
        case "pagerduty": return .pagerDuty(try pagerDuty(reader))
        case "webhook": return .webhook(try webhook(reader))
        default: return .ping(try ping(reader))
        }
    }

    private static func required(_ key: String, _ reader: ConfigReader) throws -> SecretReference {
        guard let reference = try reader.secret(key) else { throw reader.failure(key, "is required") }
        return reference
    }

    private static func pagerDuty(_ reader: ConfigReader) throws -> PagerDutyChannel {
        let region = try reader.choice("region", of: ["us", "eu"])
        let endpoint = try reader.string("endpoint")
        if let endpoint {
            guard region == nil else { throw reader.failure("endpoint", "cannot stand beside region") }
            try ChannelURL.check(endpoint, "endpoint", reader)
        }
        let host = region == "eu" ? "events.eu.pagerduty.com" : "events.pagerduty.com"
        return PagerDutyChannel(
            routingKey: try required("routing-key", reader), endpoint: endpoint ?? "https://\(host)",
            severity: try reader.choice("severity", of: NotificationSeverity.allCases.map(\.rawValue))
                .flatMap(NotificationSeverity.init(rawValue:)))
    }

    private static func webhook(_ reader: ConfigReader) throws -> WebhookChannel {
        let text = try reader.requiredString("url")
        let url: WebhookChannel.URLSource
        if let reference = try reader.secret("url"), case .literal = reference.kind {
            try ChannelURL.check(text, "url", reader)
            url = .plain(text)
        } else {
            url = .kept(try required("url", reader))
        }
        let token = try reader.secret("token")
        if case .plain(let text) = url, token != nil, !ChannelURL.isPrivate(text) {
            throw reader.failure("token", "would be sent in the clear", hint: "Use a URL that begins with https://.")
        }
        return WebhookChannel(url: url, secret: try reader.secret("secret"), token: token)
    }

    private static func ping(_ reader: ConfigReader) throws -> PingChannel {
        let ping = PingChannel(
            base: try reader.secret("base-url"), start: try reader.secret("start-url"),
            success: try reader.secret("success-url"), fail: try reader.secret("fail-url"))
        guard ping.base != nil || ping.success != nil else {
            throw reader.failure(
                "base-url", "is required", hint: "Or give success-url, and start-url and fail-url where there are any.")
        }
        return ping
    }
}

/// URLs that channels are reached at.
enum ChannelURL {
    /// Refuses what is no HTTP URL, and one that holds a password.
    static func check(_ text: String, _ key: String, _ reader: ConfigReader) throws {
        guard let rest = text.droppingPrefix("https://") ?? text.droppingPrefix("http://") else {
            throw reader.failure(key, "must begin with https:// or http://, or be a reference (file:, env:)")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else {
            // The text is not repeated: it holds a password.
            throw reader.failure(key, "must not hold a user or password", hint: "Use token, or keep the URL in a file.")
        }
        guard !authority.isEmpty, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw reader.failure(key, "is not a URL", hint: "Write it like https://hooks.example.com/salvor.")
        }
    }

    /// Whether nobody on the way can read what is sent there: encrypted, or on this host.
    static func isPrivate(_ url: String) -> Bool {
        guard let rest = url.droppingPrefix("http://") else { return true }
        return isLoopback(String(rest.prefix { $0 != "/" && $0 != "?" && $0 != ":" }))
    }

    static func isLoopback(_ host: String) -> Bool { ["localhost", "127.0.0.1", "[::1]"].contains(host) }
}
