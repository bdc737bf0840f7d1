// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Notifications
import Transfer

extension ChannelSender {
    func email(
        _ message: NotificationMessage, _ email: EmailChannel, _ channel: NotificationChannel
    ) async throws -> DeliveryOutcome {
        let bytes = MailMessage(message, from: from(email), to: email.to).bytes
        let request = try await request(email, channel, recipients: email.to, message: bytes)
        do {
            return .delivered(OneLine.of(try await request.send(), limit: 80))
        } catch let error as TransferError where error.kind == .refused && email.to.count > 1 {
            // A server that refuses one recipient took none of them: the others are worth a mail each.
            return try await each(request, refused: error, channel)
        }
    }

    private func each(
        _ request: MailRequest, refused first: TransferError, _ channel: NotificationChannel
    ) async throws -> DeliveryOutcome {
        var missing: [String] = []
        var reasons: [String] = []
        for recipient in request.recipients {
            var single = request
            single.recipients = [recipient]
            do {
                _ = try await single.send()
            } catch let error as TransferError {
                missing.append(recipient)
                reasons.append("\(recipient): \(OneLine.of(error.detail))")
            }
        }
        if missing.isEmpty { return .delivered("taken one by one") }
        guard missing.count < request.recipients.count else { throw first }
        return .failed(
            Failure(
                .notificationFailed,
                "the mail server refuses some recipients, the others have it: \(reasons.joined(separator: "; "))",
                hint: "Check to in the plan."), .laterFor(missing))
    }

    func request(
        _ email: EmailChannel, _ channel: NotificationChannel, recipients: [String], message: [UInt8]
    ) async throws -> MailRequest {
        var login: (user: String, password: String)?
        if let user = email.user, let password = email.password {
            login = (user, try await secrets.resolve(password))
        }
        let security: MailRequest.Security =
            switch email.security {
            case .off: .off
            case .required: .startTLS
            case .implicit: .implicit
            }
        return MailRequest(
            host: email.host, port: email.port, security: security, helloName: Self.domain(host), login: login,
            from: from(email), recipients: recipients, message: message, limits: limits(channel),
            caFile: channel.caFile)
    }

    private func from(_ email: EmailChannel) -> String { email.from ?? "salvor@\(Self.domain(host))" }

    /// The host's name as far as a domain may have its characters.
    static func domain(_ host: String) -> String {
        let allowed = host.utf8.filter { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return allowed.isEmpty ? "localhost" : String(decoding: allowed, as: UTF8.self)
    }
}
