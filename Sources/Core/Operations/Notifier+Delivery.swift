// SPDX-License-Identifier: Apache-2.0
public import Domain
import Notifications

extension Notifier {
    /// What became of one message, or of one channel that was tried.
    public struct Delivery: Sendable, Codable, Equatable {
        public var plan: String
        public var channel: String
        public var event: NotificationEvent
        public var isDelivered: Bool
        /// The receiver's words, or why it failed.
        public var detail: String
        /// What to do about it.
        public var hint: String?
        /// When it is tried again; nil: it was delivered, or never will be.
        public var due: Timestamp?
    }

    private static let mostWaiting = 100
    /// Longer than one process needs for the messages of one run.
    private static let patience = 30.0

    /// Delivers what waits: each channel's messages in their order, until one fails.
    ///
    /// - Parameter isForced: whether to try also what is not due yet.
    public func deliver(_ plan: Plan, isForced: Bool = false) async -> [Delivery] {
        do {
            guard try memory.outgoing(plan: plan.name).contains(where: { !$0.isLost || isMourned($0) }) else {
                return []
            }
            return try await memory.sending(plan: plan.name, patience: Self.patience) {
                try await deliverAll(plan, isForced)
            }
        } catch {
            let failure = Failure.wrapping(error)
            if failure.code != .interrupted {
                warn("notifications of plan '\(plan.name)' are not sent now: \(failure.summary)")
            }
            return []
        }
    }

    /// Sends a test through every channel, or the one named, at once and without keeping it.
    ///
    /// - Throws: `Failure(.usage)` when there is no such channel, or none at all.
    public func test(_ plan: Plan, channel name: String?, lastGood: BundleID?) async throws -> [Delivery] {
        let channels = plan.channels.filter { name == nil || $0.name == name || $0.kind.name == name }
        guard !channels.isEmpty else {
            let names = plan.channels.map(\.name)
            guard let name, !names.isEmpty else {
                throw Failure(
                    .usage, "plan '\(plan.name)' has no channels",
                    hint: "Add them under 'notify' (docs/notifications.md).")
            }
            throw Failure(
                .usage, "plan '\(plan.name)' has no channel '\(name)'",
                hint: NearestName.of(name, among: names).map { "Did you mean '\($0)'?" }
                    ?? "Channels: \(names.joined(separator: ", ")).")
        }
        var book = TroubleBook()
        let now = clock.now()
        let message = MessageComposer(plan: plan.name, host: host, now: now, lastGood: lastGood, record: nil)
            .test(id: book.messageID(.success, at: now))
        return await withTaskGroup(of: (Int, Delivery).self) { group in
            for (index, channel) in channels.enumerated() {
                group.addTask {
                    if case .ping = channel.kind {
                        let outcome = await sender.ping(.success, nil, to: channel)
                        return (index, result(outcome, .success, channel, plan))
                    }
                    return (index, result(await sender.send(message, to: channel), .success, channel, plan))
                }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func result(
        _ outcome: DeliveryOutcome?, _ event: NotificationEvent, _ channel: NotificationChannel, _ plan: Plan,
        due: Timestamp? = nil
    ) -> Delivery {
        var delivery = Delivery(
            plan: plan.name, channel: channel.name, event: event, isDelivered: true, detail: "", due: due)
        switch outcome {
        case .delivered(let words)?: delivery.detail = redact(words)
        case .failed(let failure, _)?:
            delivery.isDelivered = false
            delivery.detail = redact(failure.summary)
            delivery.hint = failure.hint
        case nil: delivery.detail = "has nothing to say here"
        }
        return delivery
    }

    private func deliverAll(_ plan: Plan, _ isForced: Bool) async throws -> [Delivery] {
        let all = try memory.outgoing(plan: plan.name)
        for old in all where isMourned(old) { try memory.remove(old) }
        let waiting = Dictionary(grouping: all.filter { !$0.isLost }, by: \.channel)
        for (name, messages) in waiting where !plan.channels.contains(where: { $0.name == name }) {
            for message in messages { try lose(message, "the plan has no channel '\(name)' any more") }
        }
        return await withTaskGroup(of: [Delivery].self) { group in
            for channel in plan.channels {
                guard let messages = waiting[channel.name] else { continue }
                group.addTask { await deliver(messages, channel, plan, isForced) }
            }
            return await group.reduce(into: []) { $0 += $1 }.sorted { $0.channel < $1.channel }
        }
    }

    private func deliver(
        _ messages: [Outgoing], _ channel: NotificationChannel, _ plan: Plan, _ isForced: Bool
    ) async -> [Delivery] {
        let now = clock.now()
        // One that is due is reason enough to try: if the receiver is back, the others follow in their order.
        guard isForced || messages.contains(where: { $0.due <= now }) else { return [] }
        var deliveries: [Delivery] = []
        do {
            let surplus = messages.count - Self.mostWaiting
            for message in messages.prefix(max(0, surplus)) {
                try lose(message, "more than \(Self.mostWaiting) messages wait for this channel")
            }
            for message in messages.dropFirst(max(0, surplus)) {
                // Whoever was taken out of the plan is not missed any more.
                guard let target = message.target(channel) else {
                    try memory.remove(message)
                    continue
                }
                let outcome = await sender.send(message.message, to: target)
                var delivery = result(outcome, message.message.event, channel, plan)
                guard case .failed(let failure, let hope) = outcome else {
                    deliveries.append(delivery)
                    try memory.remove(message)
                    continue
                }
                let kept = message.failed(redacted(failure), hope, now: now)
                delivery.due = kept.isLost ? nil : kept.due
                deliveries.append(delivery)
                report(delivery, plan)
                try memory.keep(kept)
                // Whoever does not answer now does not answer a second later.
                if case .later = hope { break }
            }
        } catch {
            warn("the note of a message of plan '\(plan.name)' cannot be kept: \(Failure.wrapping(error).summary)")
        }
        return deliveries
    }

    private func redacted(_ failure: Failure) -> Failure {
        Failure(failure.code, redact(failure.summary), hint: failure.hint)
    }

    private func report(_ delivery: Delivery, _ plan: Plan) {
        let then = delivery.due.map { "it is tried again from \($0) on" } ?? "it is not tried again"
        warn(
            "channel '\(delivery.channel)' of plan '\(plan.name)' did not take '\(delivery.event.rawValue)': "
                + "\(delivery.detail); \(then)")
    }

    private func lose(_ outgoing: Outgoing, _ reason: String) throws {
        var lost = outgoing
        lost.isLost = true
        lost.problem = RecordedFailure(code: Failure.Code.notificationFailed.text, message: reason)
        try memory.keep(lost)
    }

    private func isMourned(_ outgoing: Outgoing) -> Bool {
        outgoing.isLost && clock.now().seconds(since: outgoing.message.at) > Double(Retrying.mourning)
    }
}
