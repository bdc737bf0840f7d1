// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
public import Notifications
import Transfer

/// Delivers messages through the network. Secrets are fetched for each delivery and kept nowhere.
public struct ChannelSender: NotificationSender {
    let secrets: any SecretResolver
    let clock: any WallClock
    let http: HTTPClient
    /// `salvor/0.1.0`.
    let agent: String
    let host: String

    /// - Parameters:
    ///   - host: what this host calls itself to mail servers.
    ///   - version: of salvor.
    public init(secrets: any SecretResolver, clock: any WallClock, host: String, version: String) {
        self.secrets = secrets
        self.clock = clock
        self.host = host
        http = HTTPClient()
        agent = "salvor/\(version)"
    }

    public func send(_ message: NotificationMessage, to channel: NotificationChannel) async -> DeliveryOutcome {
        await outcome(channel) {
            switch channel.kind {
            case .email(let email): try await self.email(message, email, channel)
            case .slack(let url): try await self.slack(message, url, channel)
            case .pagerDuty(let pagerDuty): try await self.pagerDuty(message, pagerDuty, channel)
            case .webhook(let webhook): try await self.webhook(message, webhook, channel)
            // It hears of runs, not of messages.
            case .ping: .delivered("")
            }
        }
    }

    public func ping(
        _ phase: PingPhase, _ text: String?, to channel: NotificationChannel
    ) async -> DeliveryOutcome? {
        guard case .ping(let ping) = channel.kind, let target = PingTarget(ping, phase) else { return nil }
        let first = await outcome(channel) { try await self.ping(target, text, channel) }
        // A ping that comes later says nothing, so this is the only other chance; a run does not wait twice to begin.
        guard phase != .start, case .failed(_, .later) = first else { return first }
        return await outcome(channel) { try await self.ping(target, text, channel) }
    }

    public func probe(_ channel: NotificationChannel) async -> Check {
        let name = "channel \(channel.name)"
        do {
            let (place, end) = try await connect(channel)
            if let end, let words = CertificateLife.warning(end, now: clock.now()) {
                return Check(
                    name, .warning, "\(place) answers; its certificate \(words)", remedy: CertificateLife.remedy)
            }
            return Check(name, .ok, "\(place) answers")
        } catch let error as TransferError {
            let failure = ChannelFailures.failure(error, channel)
            return Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code)
        } catch {
            let failure = Failure.wrapping(error)
            return Check(name, .failed, failure.summary, remedy: failure.hint, code: failure.code)
        }
    }

    /// Certificates that end soon: of the plan's channels, and of `others`. What cannot be reached has none.
    public func certificates(_ plan: Plan, others: [(url: String, caFile: String?)]) async -> [Check] {
        var ends: [(place: String, end: Int64)] = []
        for channel in plan.channels {
            // Whether the channel answers is another question.
            if let found = try? await connect(channel), let end = found.end { ends.append((found.place, end)) }
        }
        for other in others {
            let limits = HTTPRequest.Limits(connectSeconds: 10, stallSeconds: 10, totalSeconds: 10)
            // As above.
            guard
                let end = try? await HTTPClient.connect(
                    other.url, limits: limits, route: HTTPRequest.Route(caFile: other.caFile))
            else { continue }
            ends.append((Self.place(other.url), end))
        }
        return ends.map { place, end in
            guard let words = CertificateLife.warning(end, now: clock.now()) else {
                return Check("certificate", .ok, "\(place) has one until \(Timestamp(seconds: end))")
            }
            return Check("certificate", .warning, "\(place) has one that \(words)", remedy: CertificateLife.remedy)
        }
    }

    /// The place that was reached, and when its certificate ends.
    private func connect(_ channel: NotificationChannel) async throws -> (place: String, end: Int64?) {
        let url: String
        switch channel.kind {
        case .email(let email):
            let mail = try await request(email, channel, recipients: [], message: [])
            return ("\(email.host):\(email.port)", try await mail.greet())
        case .slack(let reference): url = try await secretURL(reference)
        case .pagerDuty(let pagerDuty):
            url = pagerDuty.endpoint
            _ = try await routingKey(pagerDuty)
        case .webhook(let webhook):
            url = try await self.url(webhook)
            for reference in [webhook.secret, webhook.token].compactMap({ $0 }) {
                _ = try await secrets.resolve(reference)
            }
        case .ping(let ping):
            guard let target = PingTarget(ping, .success) else { return ("ping", nil) }
            url = target.url(try await secretURL(target.reference))
        }
        let end = try await HTTPClient.connect(
            url, limits: limits(channel), route: HTTPRequest.Route(caFile: channel.caFile))
        return (Self.place(url), end)
    }

    /// Scheme, host and port: the rest of a URL may be a secret.
    static func place(_ url: String) -> String {
        guard let scheme = url.range(of: "://") else { return "the URL" }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return String(url[..<authority.endIndex])
    }

    func limits(_ channel: NotificationChannel) -> HTTPRequest.Limits {
        HTTPRequest.Limits(
            connectSeconds: Double(channel.timeLimit), stallSeconds: channel.timeLimit,
            totalSeconds: Double(channel.timeLimit), maximumResponse: 64 << 10)
    }

    /// A URL that is a secret itself, and so must not be sent in the clear.
    func secretURL(_ reference: SecretReference) async throws -> String {
        let url = try await secrets.resolve(reference).trimmingCharacters(in: .whitespacesAndNewlines)
        let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        let isHere = loopback.contains { start in
            url.droppingPrefix(start).map { $0.isEmpty || [":", "/"].contains($0.first ?? " ") } ?? false
        }
        guard url.hasPrefix("https://") || isHere else {
            throw Failure(.configuration, "what \(reference) (\(reference.mark)) holds is no https:// URL")
        }
        return url
    }

    private func outcome(
        _ channel: NotificationChannel, _ body: () async throws -> DeliveryOutcome
    ) async -> DeliveryOutcome {
        do {
            return try await body()
        } catch let error as TransferError {
            return .failed(ChannelFailures.failure(error, channel), .later(after: nil))
        } catch {
            // A secret that is not there, most of all: the operator may mend it.
            return .failed(Failure.wrapping(error, as: .notificationFailed), .later(after: nil))
        }
    }
}

/// How long a certificate lasts, in words.
enum CertificateLife {
    /// Renewed by themselves, they are renewed earlier than this.
    private static let days: Int64 = 14
    static let remedy = "Renew the certificate on that server, and look why that did not happen by itself."

    /// nil: long enough.
    static func warning(_ end: Int64, now: Timestamp) -> String? {
        let left = end - now.seconds
        guard left < days * 86_400 else { return nil }
        return left < 0 ? "ended at \(Timestamp(seconds: end))" : "ends in \(left / 86_400) days"
    }
}
