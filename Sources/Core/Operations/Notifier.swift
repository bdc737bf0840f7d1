// SPDX-License-Identifier: Apache-2.0
public import Domain
public import Notifications

/// Tells people and machines how a plan's runs went.
///
/// Messages are kept on disk first and delivered then, so what cannot be delivered now is delivered by a later run. Nothing
/// here throws into a run: a channel that fails is reported, and the run stays what it was.
public struct Notifier: RunObserver {
    let memory: any NotificationMemory
    let sender: any NotificationSender
    let clock: any WallClock
    let host: String
    let redact: @Sendable (String) -> String
    let note: @Sendable (String) -> Void

    /// - Parameters:
    ///   - host: the name in messages.
    ///   - redact: takes secrets out of texts.
    ///   - note: hears of channels that fail, a line each.
    public init(
        memory: any NotificationMemory, sender: any NotificationSender, clock: any WallClock, host: String,
        redact: @escaping @Sendable (String) -> String, note: @escaping @Sendable (String) -> Void
    ) {
        self.memory = memory
        self.sender = sender
        self.clock = clock
        self.host = host
        self.redact = redact
        self.note = note
    }

    /// Tells dead-man's switches that a run begins.
    public func began(_ record: RunRecord, plan: Plan) async {
        guard record.kind == .backup, record.isWhole else { return }
        await ping(.start, nil, plan)
    }

    /// Tells what a finished run has to tell.
    ///
    /// - Parameter history: earlier records of the plan on this host, newest last.
    public func ended(_ record: RunRecord, plan: Plan, history: [RunRecord]) async {
        guard !plan.channels.isEmpty else { return }
        // Side by side: a switch that hangs must not hold up the message.
        async let pinged: Void = pingEnd(record, plan)
        let lastGood = RunAssessment.lastGood(history + [record])
        await tell(plan, lastGood: lastGood, record: record) { book in
            RunAssessment.of(record, plan: plan, history: history, book: book)
        }
        _ = await deliver(plan)
        await pinged
    }

    /// Tells what was found without a run, and delivers it with what else is due.
    public func found(_ assessment: Assessment, plan: Plan, lastGood: BundleID?) async -> [Delivery] {
        guard !plan.channels.isEmpty else { return [] }
        await tell(plan, lastGood: lastGood, record: nil) { _ in assessment }
        return await deliver(plan)
    }

    private func pingEnd(_ record: RunRecord, _ plan: Plan) async {
        guard record.kind == .backup, record.isWhole else { return }
        let reason = record.failure.map { redact("\(OneLine.of($0.message)) (\($0.code))") }
        await ping(record.outcome == .ok ? .success : .fail, reason, plan)
    }

    private func ping(_ phase: PingPhase, _ reason: String?, _ plan: Plan) async {
        for channel in plan.channels {
            let text = channel.includesLog ? reason : nil
            if case .failed(let failure, _)? = await sender.ping(phase, text, to: channel) {
                warn("channel '\(channel.name)' of plan '\(plan.name)' did not take the ping: \(failure.summary)")
            }
        }
    }

    private func tell(
        _ plan: Plan, lastGood: BundleID?, record: RunRecord?,
        _ assess: @escaping @Sendable (TroubleBook) -> Assessment
    ) async {
        let now = clock.now()
        let composer = MessageComposer(plan: plan.name, host: host, now: now, lastGood: lastGood, record: record)
        let redact = redact
        let compose: @Sendable (inout TroubleBook) -> [Outgoing] = { book in
            let notices = book.take(assess(book), channels: plan.channels, now: now)
            return notices.flatMap { notice in
                let message = composer.message(notice, id: book.messageID(notice.event, at: now)).mapTexts(redact)
                return plan.channels.filter { notice.channels.contains($0.name) }.map {
                    Outgoing(message.fitted(to: $0), channel: $0.name)
                }
            }
        }
        do {
            try await memory.update(plan: plan.name, compose)
        } catch {
            // A full disk is just what people must hear of: told once, from memory, as if nothing were known.
            warn("notifications of plan '\(plan.name)' cannot be kept: \(Failure.wrapping(error).summary)")
            var book = TroubleBook()
            for outgoing in compose(&book) { await sendOnce(outgoing, plan) }
        }
    }

    private func sendOnce(_ outgoing: Outgoing, _ plan: Plan) async {
        guard let channel = plan.channels.first(where: { $0.name == outgoing.channel }) else { return }
        if case .failed(let failure, _) = await sender.send(outgoing.message, to: channel) {
            warn("channel '\(channel.name)' of plan '\(plan.name)' did not take it either: \(failure.summary)")
        }
    }

    func warn(_ text: String) { note("salvor: warning: \(redact(text))") }
}
