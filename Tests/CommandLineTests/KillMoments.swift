// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// Moments, spread over a command's time, at which to kill it; seeded, so that a failing one can be tried again.
struct KillMoments {
    private var state: UInt64
    /// Seconds the command takes when nobody kills it, as far as is known.
    private var typical: Double

    /// Runs the command once, to the end, to learn how long it takes.
    init(seed: UInt64, _ whole: () async throws -> Void) async throws {
        state = seed
        let elapsed = try await ContinuousClock().measure { try await whole() }
        typical = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    }

    /// Seconds from a start to a kill.
    mutating func next() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(state >> 11) / Double(1 << 53) * typical * 1.1
    }

    /// A run that ended before its kill tells how long one takes by now: the first may have been slowed down by others.
    mutating func note(_ outcome: SalvorProcess.Outcome) {
        if outcome.status != 137 { typical = min(typical, outcome.seconds) }
    }
}
