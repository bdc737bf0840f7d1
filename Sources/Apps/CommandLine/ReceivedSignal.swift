// SPDX-License-Identifier: Apache-2.0
import Domain
import Synchronization

/// The first signal that asked the process to end.
final class ReceivedSignal: Sendable {
    private let first = Mutex<ExitStatus?>(nil)

    var status: ExitStatus? { first.withLock { $0 } }

    func set(_ status: ExitStatus) {
        first.withLock { if $0 == nil { $0 = status } }
    }
}
