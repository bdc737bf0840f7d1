// SPDX-License-Identifier: Apache-2.0
import Domain

/// How often and how long a request is tried: exponential back-off with full jitter, within bounds.
public struct RetryPolicy: Sendable {
    /// Attempts in all, the first one included.
    public var attempts: Int
    /// Seconds after the first attempt beyond which none is begun.
    public var totalSeconds: Double
    /// The longest pause after the first failure; it doubles with each further one.
    public var firstPause: Double
    /// The longest pause of all, but for what the server asks for.
    public var longestPause: Double

    public init(
        attempts: Int = 8, totalSeconds: Double = 300, firstPause: Double = 0.2, longestPause: Double = 20
    ) {
        self.attempts = attempts
        self.totalSeconds = totalSeconds
        self.firstPause = firstPause
        self.longestPause = longestPause
    }

    /// Seconds to wait after the failed `attempt` (from 1), nil to give up. `chance` is from 0 to 1; `asked` is the
    /// server's `Retry-After`; `elapsed` counts from the first attempt.
    func pause(after attempt: Int, elapsed: Double, asked: Double?, chance: Double) -> Double? {
        guard attempt < attempts else { return nil }
        var ceiling = firstPause
        for _ in 1..<attempt where ceiling < longestPause { ceiling *= 2 }
        // Full jitter: many hosts that were refused together must not come back together. What the server asks for is
        // the least, and jitter comes on top of it.
        let pause = (asked ?? 0) + min(ceiling, longestPause) * chance
        return elapsed + pause > totalSeconds ? nil : pause
    }

    /// The seconds a `Retry-After` field asks for: a number, or a date that is compared with `now`.
    static func seconds(retryAfter field: String?, now: Timestamp) -> Double? {
        guard let field else { return nil }
        if let seconds = Double(field) { return seconds >= 0 ? seconds : nil }
        guard let date = HTTPDate.parse(field) else { return nil }
        return Double(max(0, date.seconds - now.seconds))
    }
}
