// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain
import Notifications

/// One event of PagerDuty's Events API v2 (https://developer.pagerduty.com/docs/events-api-v2/trigger-events/).
struct PagerDutyEvent: Encodable {
    let routingKey: String
    let action: Action
    let dedupKey: String
    let client = "salvor"
    /// nil: of a resolve, which needs none.
    let payload: Payload?

    enum Action: String, Encodable { case trigger, resolve }

    enum CodingKeys: String, CodingKey {
        case routingKey = "routing_key"
        case action = "event_action"
        case dedupKey = "dedup_key"
        case client, payload
    }

    struct Payload: Encodable {
        var summary: String
        var source: String
        var severity: NotificationSeverity
        var timestamp: Timestamp
        var component: String
        var group: String
        var eventClass: String
        var details: Details

        enum CodingKeys: String, CodingKey {
            case summary, source, severity, timestamp, component, group
            case eventClass = "class"
            case details = "custom_details"
        }
    }

    struct Details: Encodable {
        var what: [String]
        var since: Timestamp
        var lastGood: String
        var next: [String]
        var run: String?
        var log: [String]?

        enum CodingKeys: String, CodingKey {
            case what, since, next, run, log
            case lastGood = "last_good"
        }
    }

    private static let longestSummary = 1024
    private static let longestKey = 255

    /// What a message amounts to: one event for each incident it is about. A test opens one and resolves it at once.
    static func events(
        _ message: NotificationMessage, routingKey: String, severity: NotificationSeverity?
    ) -> [PagerDutyEvent] {
        let payload = payload(message, severity)
        func event(_ action: Action, _ incident: String) -> PagerDutyEvent {
            PagerDutyEvent(
                routingKey: routingKey, action: action, dedupKey: key(message, incident),
                payload: action == .trigger ? payload : nil)
        }
        if message.isTest { return [event(.trigger, "test"), event(.resolve, "test")] }
        switch message.action {
        case .open, .again: return message.troubles.map { event(.trigger, $0.rawValue) }
        case .close: return message.troubles.map { event(.resolve, $0.rawValue) }
        case .note: return []
        }
    }

    /// The same for every event of an incident: host, plan and kind of trouble.
    private static func key(_ message: NotificationMessage, _ incident: String) -> String {
        let key = "salvor/\(message.host)/\(message.plan)/\(incident)"
        return key.utf8.count <= longestKey ? key : "salvor/\(SHA256Digest.of(Array(key.utf8)))"
    }

    private static func payload(_ message: NotificationMessage, _ severity: NotificationSeverity?) -> Payload {
        Payload(
            summary: OneLine.of(
                ([message.title] + message.what.prefix(1)).joined(separator: ": "), limit: longestSummary - 1),
            source: message.host, severity: severity ?? message.severity, timestamp: message.at,
            component: message.plan, group: "backups", eventClass: message.isTest ? "test" : message.event.rawValue,
            details: Details(
                what: message.what, since: message.since,
                lastGood: message.lastGood.map { "\($0.bundle), \(Length.text(Double($0.ageSeconds))) old" }
                    ?? "none known",
                next: message.next.map { step in step.command.map { "\($0)   # \(step.purpose)" } ?? step.purpose },
                run: message.run?.id.text, log: message.log.map { Array($0.prefix(200)) }))
    }
}
