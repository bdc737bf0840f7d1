// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A limit on bytes sent per second, shared by all transfers that are given the same value.
public final class UploadLimit: Sendable {
    /// Bytes per second, at least 1.
    public let bytesPerSecond: Int
    /// The moment (seconds of a clock that never goes back) at which everything granted so far has been paid for.
    private let paidUntil = Mutex<Double>(0)

    public init(bytesPerSecond: Int) {
        self.bytesPerSecond = max(1, bytesPerSecond)
    }

    /// How many bytes may be sent at once: a tenth of a second's worth, so that the flow is even.
    var largestGrant: Int { max(1024, bytesPerSecond / 10) }

    /// Books `count` bytes and gives the seconds to wait before sending them.
    func book(_ count: Int) -> Double {
        book(count, at: ProcessInfo.processInfo.systemUptime)
    }

    /// As above, at a given moment.
    func book(_ count: Int, at now: Double) -> Double {
        paidUntil.withLock { paid in
            // Time in which nothing was sent is not saved up: a burst after a pause would exceed the limit.
            let start = max(paid, now)
            paid = start + Double(count) / Double(bytesPerSecond)
            return start - now
        }
    }
}
