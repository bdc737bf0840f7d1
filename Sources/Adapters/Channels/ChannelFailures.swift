// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Notifications
import Transfer

/// What went wrong with a channel, for people.
enum ChannelFailures {
    /// For a transfer that came to no reply.
    static func failure(_ error: TransferError, _ channel: NotificationChannel) -> Failure {
        let detail = OneLine.of(error.detail)
        let kind = channel.kind.name
        switch error.kind {
        case .resolve, .connect:
            return Failure(
                .notificationFailed, "the \(kind) server cannot be reached: \(detail)",
                hint: "Check host and port in the plan, and the network.")
        case .tls:
            return Failure(
                .notificationFailed, "no trusted connection to the \(kind) server: \(detail)",
                hint: "Set ca-file to the authority that signed its certificate, and use the name that stands in it.")
        case .stalled:
            return Failure(
                .notificationFailed, "the \(kind) server took longer than \(channel.timeLimit) s: \(detail)",
                hint: "Raise time-limit if it is just slow.")
        case .reset, .shortBody, .tooLarge:
            return Failure(.notificationFailed, "the connection to the \(kind) server broke: \(detail)")
        case .denied:
            return Failure(
                .notificationFailed, "the mail server does not take user and password: \(detail)",
                hint: "Check user and password in the plan.")
        case .refused:
            return Failure(
                .notificationFailed, "the mail server refuses: \(detail)",
                hint: "Check from and to in the plan, and whether the server takes mail from this host.")
        case .invalid, .cancelled:
            return Failure(.notificationFailed, "the \(kind) channel cannot be used: \(detail)")
        }
    }

    /// For a reply that is no success. Nothing is known to be gone for good except the message itself.
    static func outcome(
        _ response: HTTPResponse, _ channel: NotificationChannel, now: Timestamp, never: Set<Int> = [400, 413, 422]
    ) -> DeliveryOutcome {
        let kind = channel.kind.name
        let words = OneLine.of(String(decoding: response.body.prefix(1000), as: UTF8.self), limit: 200)
        let said = words.isEmpty ? "" : ": \(words)"
        switch response.status {
        case 300..<400:
            let place = response.header("Location").map { " to \(ChannelSender.place($0))" } ?? ""
            return .failed(
                Failure(
                    .notificationFailed, "the \(kind) server sends elsewhere\(place) (status \(response.status))",
                    hint: "Redirects are not followed: put the right URL into the plan."), .later(after: nil))
        case 408, 425, 429, 500...:
            return .failed(
                Failure(.notificationFailed, "the \(kind) server has trouble (status \(response.status))\(said)"),
                .later(after: RetryAfter.seconds(response, now: now)))
        default:
            let isFinal = never.contains(response.status)
            return .failed(
                Failure(
                    .notificationFailed, "the \(kind) server refuses (status \(response.status))\(said)",
                    hint: isFinal ? nil : "Check the URL and the secrets of the channel."),
                isFinal ? .never : .later(after: nil))
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110).
enum RetryAfter {
    static func seconds(_ response: HTTPResponse, now: Timestamp) -> Int? {
        guard let value = response.header("Retry-After") else { return nil }
        if let seconds = Int(value) { return max(0, seconds) }
        // `Sat, 21 Nov 2026 17:00:00 GMT`
        let words = value.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 6, let month = months.firstIndex(of: String(words[2])), words[1].count == 2 else {
            return nil
        }
        let number = month + 1
        let text = "\(words[3])-\(number < 10 ? "0" : "")\(number)-\(words[1])T\(words[4])Z"
        return Timestamp(text).map { max(0, Int($0.seconds - now.seconds)) }
    }
}
