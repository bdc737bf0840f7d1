// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Notifications
import Transfer

/// Channels that are one POST of JSON.
extension ChannelSender {
    func slack(
        _ message: NotificationMessage, _ url: SecretReference, _ channel: NotificationChannel
    ) async throws -> DeliveryOutcome {
        let response = try await post(try await secretURL(url), try JSONBytes.of(SlackPayload(message)), [], channel)
        guard response.status != 200 else { return .delivered(words(response)) }
        return ChannelFailures.outcome(response, channel, now: clock.now())
    }

    func pagerDuty(
        _ message: NotificationMessage, _ settings: PagerDutyChannel, _ channel: NotificationChannel
    ) async throws -> DeliveryOutcome {
        let key = try await routingKey(settings)
        var last = DeliveryOutcome.delivered("there is no incident to open or resolve")
        for event in PagerDutyEvent.events(message, routingKey: key, severity: settings.severity) {
            let response = try await post("\(settings.endpoint)/v2/enqueue", try JSONBytes.of(event), [], channel)
            guard response.isSuccess else {
                // A wrong routing key is answered like a bad message, but can be mended.
                let isAboutKey = String(decoding: response.body, as: UTF8.self).contains("routing")
                return ChannelFailures.outcome(
                    response, channel, now: clock.now(), never: isAboutKey ? [] : [400, 413, 422])
            }
            last = .delivered(words(response))
        }
        return last
    }

    func routingKey(_ settings: PagerDutyChannel) async throws -> String {
        let key = try await secrets.resolve(settings.routingKey)
        guard key.utf8.count == 32, key.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw Failure(
                .configuration, "what \(settings.routingKey) (\(settings.routingKey.mark)) holds is no routing key",
                hint: "It has 32 characters: the integration key of an Events API v2 integration of the service.")
        }
        return key
    }

    func webhook(
        _ message: NotificationMessage, _ settings: WebhookChannel, _ channel: NotificationChannel
    ) async throws -> DeliveryOutcome {
        let url = try await url(settings)
        let body = try JSONBytes.of(message)
        let now = clock.now()
        var headers = [HTTPHeader("webhook-id", message.id), HTTPHeader("webhook-timestamp", "\(now.seconds)")]
        if let secret = settings.secret {
            let signature = WebhookSignature.of(
                body, id: message.id, timestamp: now.seconds, secret: try await secrets.resolve(secret))
            headers.append(HTTPHeader("webhook-signature", signature))
        }
        if let token = settings.token {
            headers.append(HTTPHeader("Authorization", "Bearer \(try await secrets.resolve(token))"))
        }
        let response = try await post(url, body, headers, channel)
        guard response.isSuccess else { return ChannelFailures.outcome(response, channel, now: now) }
        return .delivered(words(response))
    }

    func url(_ settings: WebhookChannel) async throws -> String {
        switch settings.url {
        case .plain(let url): url
        case .kept(let reference): try await secretURL(reference)
        }
    }

    func ping(_ target: PingTarget, _ text: String?, _ channel: NotificationChannel) async throws -> DeliveryOutcome {
        let url = target.url(try await secretURL(target.reference))
        let response: HTTPResponse
        if let text {
            response = try await post(url, Array(text.utf8), [], channel, type: "text/plain; charset=utf-8")
        } else {
            response = try await http.send(
                HTTPRequest(
                    "GET", url, headers: [HTTPHeader("User-Agent", agent)], limits: limits(channel),
                    route: HTTPRequest.Route(caFile: channel.caFile)))
        }
        guard response.isSuccess else { return ChannelFailures.outcome(response, channel, now: clock.now()) }
        return .delivered(words(response))
    }

    private func post(
        _ url: String, _ body: [UInt8], _ headers: [HTTPHeader], _ channel: NotificationChannel,
        type: String = "application/json"
    ) async throws -> HTTPResponse {
        var request = HTTPRequest(
            "POST", url,
            headers: [HTTPHeader("Content-Type", type), HTTPHeader("User-Agent", agent)] + headers, body: body,
            limits: limits(channel), route: HTTPRequest.Route(caFile: channel.caFile))
        request.asksFirst = false
        return try await http.send(request)
    }

    private func words(_ response: HTTPResponse) -> String {
        let text = OneLine.of(String(decoding: response.body.prefix(500), as: UTF8.self), limit: 80)
        return text.isEmpty ? "status \(response.status)" : "status \(response.status): \(text)"
    }
}

/// Which URL of a dead-man's switch is for what.
struct PingTarget {
    let reference: SecretReference
    private let suffix: String

    /// nil: the switch does not want to hear of this.
    init?(_ ping: PingChannel, _ phase: PingPhase) {
        let own = [PingPhase.start: ping.start, .success: ping.success, .fail: ping.fail][phase] ?? nil
        if let own {
            (reference, suffix) = (own, "")
        } else if let base = ping.base {
            (reference, suffix) = (base, phase == .success ? "" : "/\(phase.rawValue)")
        } else {
            return nil
        }
    }

    /// The URL, its addition in front of a query.
    func url(_ secret: String) -> String {
        guard !suffix.isEmpty else { return secret }
        let path = secret.prefix { $0 != "?" && $0 != "#" }
        let base = path.hasSuffix("/") ? path.dropLast() : path
        return String(base) + suffix + String(secret[path.endIndex...])
    }
}

/// The one way JSON is made for others.
enum JSONBytes {
    static func of(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            throw Failure.wrapping(error, as: .internalError, "a message")
        }
    }
}
