// SPDX-License-Identifier: Apache-2.0
public import Domain

/// A message on its way to one channel: kept on disk until it is delivered, so that neither a crash nor a server that is
/// down loses it. Without any secret: those are fetched anew for each attempt.
public struct Outgoing: Sendable, Codable, Equatable {
    public var message: NotificationMessage
    /// The channel's name in the plan.
    public var channel: String
    public var attempts: Int
    /// Not before this moment.
    public var due: Timestamp
    /// Why the last attempt failed; nil: there was none.
    public var problem: RecordedFailure?
    /// Given up for good: it will not be tried again, and stays for whoever asks.
    public var isLost: Bool
    /// Who of a mail's receivers does not have it yet; nil: nobody has.
    public var missing: [String]?

    public init(_ message: NotificationMessage, channel: String) {
        self.message = message
        self.channel = channel
        attempts = 0
        due = message.at
        isLost = false
    }

    /// Unique, and in the order in which messages were made.
    public var id: String { "\(message.id)~\(channel)" }

    /// What becomes of it after a failed attempt.
    public func failed(_ failure: Failure, _ hope: DeliveryOutcome.Hope, now: Timestamp) -> Outgoing {
        var next = self
        next.attempts += 1
        next.problem = RecordedFailure(failure)
        switch hope {
        case .never: next.isLost = true
        case .later(let asked): next.wait(asked ?? 0, now)
        case .laterFor(let missing):
            next.missing = missing
            next.wait(0, now)
        }
        return next
    }

    private mutating func wait(_ asked: Int, _ now: Timestamp) {
        let pause = max(Retrying.pause(after: attempts), min(asked, Retrying.longestPause))
        due = Timestamp(seconds: now.seconds + Int64(pause))
        isLost = due.seconds - message.at.seconds > Int64(Retrying.lifetime)
    }

    /// The channel as far as it lacks the message; nil: nobody in it does.
    public func target(_ channel: NotificationChannel) -> NotificationChannel? {
        guard let missing, case .email(var email) = channel.kind else { return channel }
        email.to = email.to.filter(missing.contains)
        guard !email.to.isEmpty else { return nil }
        var target = channel
        target.kind = .email(email)
        return target
    }
}

/// When messages that could not be delivered are tried again.
public enum Retrying {
    static let longestPause = 6 * 3600
    /// News older than this are none.
    public static let lifetime = 3 * 86_400
    /// Lost messages are kept so long for whoever asks.
    public static let mourning = 14 * 86_400

    /// Seconds to wait after so many failed attempts: a minute, doubled each time, six hours at most.
    static func pause(after attempts: Int) -> Int {
        min(longestPause, 60 << min(max(0, attempts - 1), 12))
    }
}

/// How one attempt to deliver ended.
public enum DeliveryOutcome: Sendable {
    /// The receiver has it; in its own words.
    case delivered(String)
    case failed(Failure, Hope)

    /// Whether trying again can help.
    public enum Hope: Sendable, Equatable {
        /// The receiver was reached and will never take this message.
        case never
        /// Perhaps later, or once the operator has mended something; not before so many seconds, if it says so.
        case later(after: Int?)
        /// As `later`, but only for these receivers of a mail: the others have it.
        case laterFor([String])
    }
}

/// Delivers messages, one channel at a time.
public protocol NotificationSender: Sendable {
    /// Sends one message within the channel's time limit. Never throws: whatever goes wrong is an outcome.
    func send(_ message: NotificationMessage, to channel: NotificationChannel) async -> DeliveryOutcome

    /// Tells a dead-man's switch of a run; nil: the channel is none, or has no URL for this.
    func ping(_ phase: PingPhase, _ text: String?, to channel: NotificationChannel) async -> DeliveryOutcome?

    /// Whether the channel answers, without sending anything anybody would see.
    func probe(_ channel: NotificationChannel) async -> Check
}

/// What a dead-man's switch hears.
public enum PingPhase: String, Sendable, CaseIterable {
    case start, success, fail
}

/// What a host remembers of a plan's notifications.
public protocol NotificationMemory: Sendable {
    /// Changes the plan's book, and keeps the messages that come of it, all or nothing and one process at a time.
    ///
    /// - Throws: `Failure(.localInput)`, `Failure(.localSpace)`, `Failure(.locked)`.
    func update(plan: String, _ body: @Sendable (inout TroubleBook) -> [Outgoing]) async throws

    /// Messages that wait, and lost ones, in the order they were made. One that cannot be read is left out.
    func outgoing(plan: String) throws -> [Outgoing]

    /// Replaces a message that stays.
    func keep(_ outgoing: Outgoing) throws

    /// Forgets a message that was delivered.
    func remove(_ outgoing: Outgoing) throws

    /// Runs `body` unless another process is sending this plan's messages for longer than `patience` seconds.
    ///
    /// - Throws: `Failure(.locked)` when it is, and what `body` throws.
    func sending<Result: Sendable>(
        plan: String, patience: Double, _ body: @Sendable () async throws -> Result
    ) async throws -> Result
}
