// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Carries a far program's pipes out of the closure that got them, also when it throws.
final class PipesBox: Sendable {
    private let box = Mutex<FarPipes?>(nil)

    var pipes: FarPipes? {
        get { box.withLock { $0 } }
        set { box.withLock { $0 = newValue } }
    }
}
