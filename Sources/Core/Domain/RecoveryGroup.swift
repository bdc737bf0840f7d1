// SPDX-License-Identifier: Apache-2.0

/// What a plan with `consistency: together` says of itself in the manifest: whose copies share a moment, and how exactly.
public struct RecoveryGroup: Codable, Sendable, Equatable {
    /// Names of the sources that were frozen together and are in the bundle, in the plan's order.
    public var sources: [String]
    /// Names of the sources that belong to the group and are not in the bundle. With any, the group is none.
    public var missing: [String]
    /// From the first moment at which a copy may have been fixed to the last: microseconds between the smallest `from` and
    /// the largest `to` of the sources' `frozen`.
    public var skewMicroseconds: Int64
    /// When the application was paused, from before the program was started until it was resumed; nil: it was not.
    public var paused: ClockInterval?

    /// Measures the skew of `frozen`, the copies in the bundle.
    public init(frozen: [(source: String, interval: ClockInterval)], missing: [String], paused: ClockInterval?) {
        sources = frozen.map(\.source)
        self.missing = missing
        let intervals = frozen.map(\.interval)
        let first = intervals.map(\.from).min()
        let last = intervals.map(\.to).max()
        if let first, let last {
            skewMicroseconds = ClockInterval(from: first, to: last).microseconds
        } else {
            skewMicroseconds = 0
        }
        self.paused = paused
    }

    /// The group in a copy of the bundle that has only some sources.
    public func limited(to names: [String]) -> RecoveryGroup {
        var group = self
        group.missing += sources.filter { !names.contains($0) }
        group.sources = sources.filter(names.contains)
        return group
    }

    /// Whether every source of the group is there.
    public var isWhole: Bool { missing.isEmpty }
}

/// A stretch of this host's clock, to the microsecond.
public struct ClockInterval: Codable, Sendable, Equatable {
    public let from: Timestamp
    public let to: Timestamp

    /// What is smaller than a microsecond is dropped; an end before the beginning counts as the beginning.
    public init(from: Timestamp, to: Timestamp) {
        self.from = Self.rounded(from)
        self.to = max(Self.rounded(to), Self.rounded(from))
    }

    /// Its length.
    public var microseconds: Int64 {
        (to.seconds - from.seconds) * 1_000_000 + Int64(to.nanoseconds - from.nanoseconds) / 1000
    }

    private enum CodingKeys: String, CodingKey { case from, to }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func moment(_ key: CodingKeys) throws -> Timestamp {
            guard let moment = Self.moment(try container.decode(String.self, forKey: key)) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "not a time like 2026-11-21T02:00:03.000000Z")
            }
            return moment
        }
        self.init(from: try moment(.from), to: try moment(.to))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.text(from), forKey: .from)
        try container.encode(Self.text(to), forKey: .to)
    }

    /// `2026-11-21T02:00:03.000000Z`.
    public static func text(_ moment: Timestamp) -> String {
        let digits = String(moment.nanoseconds / 1000)
        return moment.description.dropLast() + "." + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
            + "Z"
    }

    private static func moment(_ text: String) -> Timestamp? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let whole = Timestamp("\(parts[0])Z"), parts[1].utf8.count == 7, parts[1].last == "Z",
            let digits = Int32(parts[1].dropLast()), digits >= 0
        else { return nil }
        return Timestamp(seconds: whole.seconds, nanoseconds: digits * 1000)
    }

    private static func rounded(_ moment: Timestamp) -> Timestamp {
        Timestamp(seconds: moment.seconds, nanoseconds: moment.nanoseconds / 1000 * 1000)
    }
}

/// What stops an application's writers while the sources of a group are frozen, and what lets them go on.
public struct Quiesce: Sendable, Equatable {
    /// The program and its arguments; no shell is between.
    public var pause: [String]
    /// May run more than once, also when nothing was paused.
    public var resume: [String]
    /// Seconds that the application may stay paused: at their end the freeze is given up. Each attempt to resume has as
    /// many.
    public var timeLimit: Int

    /// A minute.
    public static let standardTimeLimit = 60

    public init(pause: [String], resume: [String], timeLimit: Int = standardTimeLimit) {
        self.pause = pause
        self.resume = resume
        self.timeLimit = timeLimit
    }
}

/// Sees to it that what is paused is resumed, whatever becomes of this process.
public protocol QuiesceSupervisor: Sendable {
    /// Notes durably that `quiesce.pause` is about to run, and starts a process that runs `quiesce.resume` as soon as it is
    /// told to or this process is gone.
    func begin(_ quiesce: Quiesce, environment: [String: String]) async throws -> any PausedApplication

    /// Resumes what an earlier run of the plan paused and, as far as its note tells, nobody resumed.
    ///
    /// - Returns: what was resumed, for people; nil when there was nothing.
    /// - Throws: when it could not be resumed; the note stays.
    func resumeLeftOver() async throws -> String?
}

/// An application that is paused or about to be.
public protocol PausedApplication: Sendable {
    /// Resumes it, trying several times; out of reach of cancellation. The note is erased once that has worked.
    ///
    /// - Throws: when it did not; the note stays, and later runs try again.
    func resume() async throws
}
